//! Rows -> a NumPy file that is valid after every chunk.
//!
//! Reference: `numpy/lib/format.py`, version 1.0. The header has room for any number of rows, so that it is written over in
//! its place; rows are counted by the file's size, because a run may end before it has written their number.

use std::os::unix::fs::FileExt;

use crate::failure::Failure;
use crate::output_file::{Existing, OutputFile};

/// Bytes before the first row.
const HEADER_BYTES: usize = 128;
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The type of an array's numbers.
#[derive(Clone, Copy)]
pub(crate) enum NumberType {
    F32,
    F16,
    I8,
}

impl NumberType {
    /// Its name in a header.
    fn descr(self) -> &'static str {
        match (self, cfg!(target_endian = "little")) {
            (Self::F32, true) => "<f4",
            (Self::F32, false) => ">f4",
            (Self::F16, true) => "<f2",
            (Self::F16, false) => ">f2",
            (Self::I8, _) => "|i1",
        }
    }

    fn n_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

/// What an array's rows are.
#[derive(Clone, Copy)]
pub(crate) struct RowType {
    pub(crate) numbers: NumberType,
    /// Numbers of a row; `None` for an array of numbers alone.
    pub(crate) n_columns: Option<usize>,
}

impl RowType {
    pub(crate) fn n_bytes(self) -> u64 {
        self.numbers.n_bytes() * self.n_columns.unwrap_or(1) as u64
    }

    /// What a header says before and after the number of rows.
    fn header_parts(self) -> (String, String) {
        let before = format!("{{'descr': '{}', 'fortran_order': False, 'shape': (", self.numbers.descr());
        let after = self.n_columns.map_or_else(|| ",), }".to_owned(), |n| format!(", {n}), }}"));
        (before, after)
    }

    fn header(self, n_rows: u64) -> Vec<u8> {
        let (before, after) = self.header_parts();
        let mut header = MAGIC.to_vec();
        let n_rest = (HEADER_BYTES - MAGIC.len() - 2) as u16;
        header.extend(n_rest.to_le_bytes());
        header.extend(format!("{before}{n_rows}{after}").bytes());
        header.resize(HEADER_BYTES - 1, b' ');
        header.push(b'\n');
        header
    }

    /// Whether this is the header of an array of such rows.
    fn is_in(self, header: &[u8]) -> bool {
        let (before, after) = self.header_parts();
        let text = header.get(MAGIC.len() + 2..).and_then(|text| std::str::from_utf8(text).ok());
        let n_rows = text.and_then(|text| text.strip_prefix(&before)).and_then(|rest| rest.split_once(&after));
        n_rows.and_then(|(n_rows, _)| n_rows.parse().ok()).is_some_and(|n_rows| self.header(n_rows) == header)
    }
}

/// An array that grows.
pub(crate) struct ArrayFile {
    file: OutputFile,
    rows: RowType,
    n_rows: u64,
    /// Rows that are not written yet.
    pending: Vec<u8>,
}

impl ArrayFile {
    pub(crate) fn new(file: OutputFile, rows: RowType) -> Result<Self, Failure> {
        if !file.is_regular {
            return Err(Failure::Refused(format!("{}: an array is written to files only", file.path.display())));
        }
        let mut n_rows = 0;
        if file.existing == Existing::Kept && file.n_bytes > 0 {
            let mut header = vec![0; HEADER_BYTES];
            let is_read = file.file.read_exact_at(&mut header, 0).is_ok();
            if !is_read || !rows.is_in(&header) {
                let (before, after) = rows.header_parts();
                let reason = format!("cannot be gone on with: its header is not {before}...{after}");
                return Err(Failure::Refused(format!("{}: {reason}", file.path.display())));
            }
            n_rows = (file.n_bytes - HEADER_BYTES as u64) / rows.n_bytes().max(1);
        }
        Ok(Self { file, rows, n_rows, pending: Vec::new() })
    }

    /// Complete rows that the file holds.
    pub(crate) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Keeps `n_rows` rows, behind which others will stand.
    pub(crate) fn begin(&mut self, n_rows: u64) -> Result<(), Failure> {
        self.file.cut(self.place(n_rows).min(self.file.n_bytes))?;
        self.n_rows = n_rows;
        self.write_header()
    }

    /// The bytes of a row that the file holds.
    pub(crate) fn row(&self, index: u64) -> Result<Vec<u8>, Failure> {
        let mut row = vec![0; usize::try_from(self.rows.n_bytes()).unwrap_or(0)];
        self.file.file.read_exact_at(&mut row, self.place(index)).map_err(Failure::of(&self.file.path))?;
        Ok(row)
    }

    pub(crate) fn push(&mut self, row: &[u8]) {
        self.pending.extend_from_slice(row);
    }

    /// Writes the rows, then their number.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let place = self.place(self.n_rows);
        self.file.file.write_all_at(&self.pending, place).map_err(Failure::of(&self.file.path))?;
        self.n_rows += self.pending.len() as u64 / self.rows.n_bytes().max(1);
        self.pending.clear();
        self.write_header()
    }

    fn write_header(&self) -> Result<(), Failure> {
        self.file.file.write_all_at(&self.rows.header(self.n_rows), 0).map_err(Failure::of(&self.file.path))
    }

    fn place(&self, n_rows: u64) -> u64 {
        HEADER_BYTES as u64 + n_rows * self.rows.n_bytes()
    }
}
