# The same leaf without a server: a fresh process for each query (interface `files`). The query is at $1, the shard's files are below $2.
# It writes one object of JSON for each file that has the query in a line. Names with quotes or backslashes are not for this example.
set -eu
query=$(cat "$1")
cd "$2"
grep -rc -F -e "$query" . | while IFS= read -r line; do
    count=${line##*:}
    name=${line%:*}
    [ "$count" = 0 ] || printf '{"%s": %s}\n' "${name#./}" "$count"
done
