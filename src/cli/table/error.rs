//! Why a file of rows cannot be read.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum TableError {
    #[error("{}: cannot be read", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: unknown format; the name must end in .csv, .jsonl, .ndjson or .parquet", .0.display())]
    UnknownFormat(PathBuf),
    #[error(
        "{}: is a directory without an archive; name one with an archive in it, or a file that ends \
         in .csv, .jsonl, .ndjson or .parquet",
        .0.display()
    )]
    Directory(PathBuf),
    #[error("{}: has no rows", .0.display())]
    Empty(PathBuf),
    #[error("{}: is an archive in which no exchange was decoded into rows", .0.display())]
    NothingDecoded(PathBuf),
    #[error("{}: is not CSV as its head says", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{}: the head names column {name:?} twice", path.display())]
    Duplicate { path: PathBuf, name: String },
    #[error("{}:{line}: is not a JSON object", path.display())]
    Json { path: PathBuf, line: u64, source: serde_json::Error },
    #[error(
        "{}: column {column} is compressed with {codec}, which is not read; write the file again with \
         zstd, snappy, gzip, lz4 or none",
        path.display()
    )]
    Codec { path: PathBuf, column: String, codec: &'static str },
    #[error("{}: is not Parquet that this version reads", path.display())]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
}
