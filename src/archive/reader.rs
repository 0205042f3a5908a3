//! Whole files back into records, a row group at a time.

use jiff::Timestamp;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::batch::{Cells, Field};
use super::catalogue::{self, ArchiveFile};
use super::schema::{self, COLUMNS};
use super::{ArchiveError, Record, row_text};
use crate::decode::Rows;

/// The whole files of one place, oldest first.
#[derive(Debug, Clone)]
pub struct Reader {
    files: Vec<ArchiveFile>,
}

/// What one file holds, by its footer.
#[derive(Debug, Clone)]
pub struct Summary {
    pub path: PathBuf,
    pub bytes: u64,
    pub exchanges: u64,
    /// First and last `started_at`; `None` in a file without exchanges.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

/// What decoding made of one exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedExchange {
    pub id: String,
    pub started_at: Timestamp,
    /// When its rows were counted, where that is known.
    pub counted_at: Option<Timestamp>,
    /// Weight of each row is its inverse.
    pub sample_rate: f64,
    pub inputs: Rows,
    pub outputs: Rows,
}

/// Which columns are read; the others are left empty or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Everything,
    /// All but `request.body` and `response.body`.
    WithoutBodies,
    /// `id`, `started_at`, `counted_at`, `sample_rate`, `inputs`, `outputs`.
    DecodedRows,
    Id,
}

impl Part {
    fn holds(self, column: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::WithoutBodies => !matches!(column, "request_body" | "response_body"),
            Self::DecodedRows => {
                matches!(
                    column,
                    "id" | "started_at" | "sample_rate" | "inputs" | "outputs" | "counted_at"
                )
            }
            Self::Id => column == "id",
        }
    }
}

impl Reader {
    /// `location` is a file, an archive's directory, or a data directory with an archive in it.
    pub fn open(location: &Path) -> Result<Self, ArchiveError> {
        Ok(Self { files: catalogue::files(location)? })
    }

    pub fn files(&self) -> &[ArchiveFile] {
        &self.files
    }

    pub fn summaries(&self) -> impl Iterator<Item = Result<Summary, ArchiveError>> {
        self.files.iter().map(summary)
    }

    /// Every exchange, file by file in the order they were recorded.
    pub fn records(&self, part: Part) -> Records {
        Records { files: self.files.clone().into_iter(), part, current: None }
    }

    /// The exchanges of that id: more than one if a client used it again. Reads the ids alone until
    /// one fits.
    pub fn find(&self, id: &str, part: Part) -> impl Iterator<Item = Result<Record, ArchiveError>> {
        self.files.iter().flat_map(move |file| match find_in(file, id, part) {
            Ok(records) => records.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// The decoded rows of every exchange that has any.
    pub fn rows(&self) -> impl Iterator<Item = Result<DecodedExchange, ArchiveError>> + use<> {
        let mut records = self.records(Part::DecodedRows);
        std::iter::from_fn(move || {
            let record = records.next()?;
            let path = records.path().unwrap_or_default();
            Some(record.and_then(|record| decoded(record, &path)))
        })
        .filter(|decoded| {
            decoded.as_ref().map_or(true, |d| !d.inputs.is_empty() || !d.outputs.is_empty())
        })
    }
}

/// An iterator that opens one file at a time. It ends after the first error of a file and goes on
/// with the next.
pub struct Records {
    files: std::vec::IntoIter<ArchiveFile>,
    part: Part,
    current: Option<FileRecords>,
}

impl Records {
    /// The file that the last record was read from.
    fn path(&self) -> Option<PathBuf> {
        self.current.as_ref().map(|current| current.path.clone())
    }
}

impl Iterator for Records {
    type Item = Result<Record, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.current.as_mut().and_then(FileRecords::next) {
                return Some(record);
            }
            match FileRecords::open(&self.files.next()?.path, self.part) {
                Ok(file) => self.current = Some(file),
                Err(error) => {
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The records of one file.
struct FileRecords {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    part: Part,
    next_group: usize,
    group: Vec<Box<dyn Iterator<Item = Field> + Send>>,
    left_in_group: usize,
}

impl FileRecords {
    fn open(path: &Path, part: Part) -> Result<Self, ArchiveError> {
        Ok(Self {
            path: path.into(),
            reader: open(path)?,
            part,
            next_group: 0,
            group: Vec::new(),
            left_in_group: 0,
        })
    }

    fn next(&mut self) -> Option<Result<Record, ArchiveError>> {
        while self.left_in_group == 0 {
            if self.next_group == self.reader.num_row_groups() {
                return None;
            }
            if let Err(error) = self.read_group() {
                self.next_group = self.reader.num_row_groups();
                return Some(Err(error));
            }
        }
        self.left_in_group -= 1;
        let fields = self.group.iter_mut().map(|cells| cells.next().unwrap_or_default());
        Some(Ok(Record::from_fields(fields)))
    }

    fn read_group(&mut self) -> Result<(), ArchiveError> {
        let index = self.next_group;
        let rows = group_rows(self.reader.metadata(), index);
        self.group.clear();
        for (position, column) in COLUMNS.iter().enumerate() {
            let read = self.part.holds(column.name);
            let cells = if read { self.read_column(index, position, rows)? } else { None };
            self.group.push(match cells {
                Some(cells) => cells.into_fields(),
                None => Box::new(std::iter::empty()),
            });
        }
        self.left_in_group = rows;
        self.next_group += 1;
        Ok(())
    }

    fn read_column(
        &self,
        group: usize,
        position: usize,
        rows: usize,
    ) -> Result<Option<Cells>, ArchiveError> {
        let column = COLUMNS[position].name;
        let cells = read_column(&self.reader, &self.path, group, position)?;
        match cells {
            // Without one, nothing would hold the file to the number of rows that it states.
            None if column == "id" => {
                let path = self.path.clone();
                Err(ArchiveError::Column { path, column, fault: "is missing" })
            }
            Some(cells) if cells.len() != rows => Err(ArchiveError::RowCount {
                path: self.path.clone(),
                column,
                stated: rows as u64,
                found: cells.len() as u64,
            }),
            cells => Ok(cells),
        }
    }
}

/// Whether a Parquet file has the columns that every archive file has, whoever wrote it: a copy by
/// another tool keeps them, and loses what this archive adds to the footer.
pub fn holds_exchanges(path: &Path) -> Result<bool, ArchiveError> {
    let reader = open(path)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let has = |name: &str| schema.columns().iter().any(|found| found.path().string() == name);
    Ok(COLUMNS.iter().filter(|column| !column.nullable).all(|column| has(column.name)))
}

pub(super) fn open(path: &Path) -> Result<SerializedFileReader<File>, ArchiveError> {
    let file = File::open(path).map_err(|source| ArchiveError::Disk {
        action: "opening",
        path: path.into(),
        source,
    })?;
    guarded(path, || SerializedFileReader::new(file))
}

/// Reads by `parquet`, which panics at some damages (fuzzed with 60.1): those are the file's errors too.
fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ArchiveError> {
    let damaged = |_| Err(ParquetError::General("its data is damaged".to_owned()));
    let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(damaged);
    read.map_err(|source| ArchiveError::Parquet { path: path.into(), source })
}

/// The cells of the column at `position` of [`COLUMNS`]; `None` if the file has no such column.
pub(super) fn read_column(
    reader: &SerializedFileReader<File>,
    path: &Path,
    group: usize,
    position: usize,
) -> Result<Option<Cells>, ArchiveError> {
    let column = &COLUMNS[position];
    let descriptors = reader.metadata().file_metadata().schema_descr().columns();
    let found = descriptors.iter().position(|found| found.path().string() == column.name);
    let Some(index) = found else { return Ok(None) };
    if descriptors[index].max_rep_level() > 0 {
        let fault = "is a list; the archive writes none";
        return Err(ArchiveError::Column { path: path.into(), column: column.name, fault });
    }
    let nullable = descriptors[index].max_def_level() > 0;
    let rows = group_rows(reader.metadata(), group);
    guarded(path, || {
        let mut cells = reader.get_row_group(group)?.get_column_reader(index)?;
        Cells::read(&mut cells, column, nullable, rows).map(Some)
    })
}

pub(super) fn group_rows(metadata: &ParquetMetaData, group: usize) -> usize {
    usize::try_from(metadata.row_group(group).num_rows()).unwrap_or_default()
}

fn find_in(file: &ArchiveFile, id: &str, part: Part) -> Result<Vec<Record>, ArchiveError> {
    let mut ids = FileRecords::open(&file.path, Part::Id)?;
    let mut found = false;
    while let Some(record) = ids.next() {
        found |= record?.id == id;
    }
    if !found {
        return Ok(Vec::new());
    }
    let mut records = FileRecords::open(&file.path, part)?;
    let all = std::iter::from_fn(|| records.next());
    all.filter(|record| record.as_ref().map_or(true, |record| record.id == id)).collect()
}

fn decoded(record: Record, path: &Path) -> Result<DecodedExchange, ArchiveError> {
    let read = |text: Option<&[u8]>, column| match text {
        None => Ok(Rows::new()),
        Some(text) => row_text::read(text).map_err(|source| ArchiveError::Rows {
            path: path.into(),
            id: record.id.clone(),
            column,
            source,
        }),
    };
    let inputs = read(record.inputs.as_deref(), "inputs")?;
    let outputs = read(record.outputs.as_deref(), "outputs")?;
    let Record { id, started_at, counted_at, sample_rate, .. } = record;
    Ok(DecodedExchange { id, started_at, counted_at, sample_rate, inputs, outputs })
}

fn summary(file: &ArchiveFile) -> Result<Summary, ArchiveError> {
    let reader = open(&file.path)?;
    let groups = reader.metadata().row_groups();
    let times = groups.iter().filter_map(|group| {
        let position = schema::position("started_at")?;
        match group.columns().get(position)?.statistics()? {
            Statistics::Int64(times) => Some((*times.min_opt()?, *times.max_opt()?)),
            _ => None,
        }
    });
    let (first, last) = times.fold((None, None), |(first, last): (Option<i64>, _), (min, max)| {
        (Some(first.map_or(min, |f| f.min(min))), last.max(Some(max)))
    });
    let time = |micros: Option<i64>| Timestamp::from_microsecond(micros?).ok();
    Ok(Summary {
        path: file.path.clone(),
        bytes: file.bytes,
        exchanges: (0..groups.len()).map(|g| group_rows(reader.metadata(), g) as u64).sum(),
        first: time(first),
        last: time(last),
    })
}
