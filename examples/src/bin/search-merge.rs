//! The merge of the search engine, as a program of its own.

fn main() -> anyhow::Result<()> {
    Ok(longshore_examples::search::serve_merge()?)
}
