# The same merge without a server: $1 is a directory with a file for each part, as leaf.sh writes them. (Files of different shards
# are different files, so no counts have to be added up.)
set -eu
cat "$1"/* | tr -d '{}"' | while IFS= read -r line; do
    echo "${line##*: } ${line%: *}"
done | sort -k1,1nr -k2
