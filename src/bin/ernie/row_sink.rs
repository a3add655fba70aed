//! Vectors -> rows of a NumPy file; of integers also a file of what they are to be multiplied by.

use std::path::Path;

use ernie::pipeline::VectorType;
use half::f16;
use serde_json::value::RawValue;

use crate::array::{ArrayFile, NumberType, RowType};
use crate::failure::Failure;
use crate::output_file::{Existing, OutputFile};
use crate::sources::Source;
use crate::stream::{Bad, Sink};

/// A text's vector. An array has no room to tell that the text was cut: those are counted.
pub(crate) struct Row {
    pub(crate) vector: Vec<f32>,
    pub(crate) is_cut: bool,
}

/// A row for each vector.
pub(crate) struct RowSink {
    vector_type: VectorType,
    n_columns: usize,
    vectors: ArrayFile,
    scales: Option<ArrayFile>,
    n_cut: u64,
}

impl RowSink {
    /// `a.npy` for the vectors, and `a.scales.npy` where they are integers.
    pub(crate) fn open(
        path: &Path,
        existing: Existing,
        sources: &[Source],
        vector_type: VectorType,
        n_columns: usize,
    ) -> Result<Self, Failure> {
        let numbers = match vector_type {
            VectorType::F16 => NumberType::F16,
            VectorType::I8 => NumberType::I8,
            _ => NumberType::F32,
        };
        let open = |path: &Path, rows| ArrayFile::new(OutputFile::open(path, existing, sources)?, rows);
        let vectors = open(path, RowType { numbers, n_columns: Some(n_columns) })?;
        let scales = match numbers {
            NumberType::I8 => {
                let rows = RowType { numbers: NumberType::F32, n_columns: None };
                Some(open(&path.with_extension("scales.npy"), rows)?)
            }
            NumberType::F32 | NumberType::F16 => None,
        };
        Ok(Self { vector_type, n_columns, vectors, scales, n_cut: 0 })
    }

    /// How many texts were cut for rows that this run put.
    pub(crate) fn n_cut(&self) -> u64 {
        self.n_cut
    }

    /// The bytes of a vector and what they are to be multiplied by; of none NaN, or where the numbers are integers zeros times
    /// NaN.
    fn row(&self, vector: Option<&[f32]>) -> Result<(Vec<u8>, f32), Failure> {
        let Some(vector) = vector else {
            let row = match self.vector_type {
                VectorType::F16 => f16::NAN.to_ne_bytes().repeat(self.n_columns),
                VectorType::I8 => vec![0; self.n_columns],
                _ => f32::NAN.to_ne_bytes().repeat(self.n_columns),
            };
            return Ok((row, f32::NAN));
        };
        if vector.len() != self.n_columns {
            let reason = format!("a vector has {} numbers, the others have {}", vector.len(), self.n_columns);
            return Err(Failure::Refused(reason));
        }
        let mut row = Vec::with_capacity(self.n_columns * self.vector_type.n_bytes());
        let scale = self.vector_type.store(vector, &mut row);
        Ok((row, scale))
    }
}

impl Sink<Row> for RowSink {
    fn n_done(&self) -> u64 {
        self.scales.iter().map(ArrayFile::n_rows).fold(self.vectors.n_rows(), u64::min)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let n_rows = self.n_done();
        self.vectors.begin(n_rows)?;
        self.scales.iter_mut().try_for_each(|scales| scales.begin(n_rows))
    }

    fn put(&mut self, _: Option<&RawValue>, answer: Result<Row, Bad<'_>>) -> Result<(), Failure> {
        self.n_cut += u64::from(answer.as_ref().is_ok_and(|row| row.is_cut));
        let (row, scale) = self.row(answer.ok().as_ref().map(|row| row.vector.as_slice()))?;
        self.vectors.push(&row);
        self.scales.iter_mut().for_each(|scales| scales.push(&scale.to_ne_bytes()));
        Ok(())
    }

    fn is_last(&self, _: Option<&RawValue>, answer: Result<Row, Bad<'_>>) -> Result<bool, Failure> {
        let (row, scale) = self.row(answer.ok().as_ref().map(|row| row.vector.as_slice()))?;
        let place = self.n_done().saturating_sub(1);
        let has_scale = match &self.scales {
            Some(scales) => scales.row(place)? == scale.to_ne_bytes(),
            None => true,
        };
        Ok(has_scale && self.vectors.row(place)? == row)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.vectors.flush()?;
        self.scales.iter_mut().try_for_each(ArrayFile::flush)
    }
}
