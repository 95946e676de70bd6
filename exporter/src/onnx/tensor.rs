//! Constant tensors: as many elements as their dimensions say, none allocated before the file has it.

use super::error::TensorError;
use super::proto::TensorProto;
use super::proto::tensor_proto::{DataLocation, DataType};

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// None for a single number.
    pub(super) dims: Vec<usize>,
    pub(super) elements: Elements,
}

/// A constant's elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

impl Tensor {
    pub(super) fn read(tensor: &TensorProto) -> Result<Self, TensorError> {
        if tensor.data_location() == DataLocation::External || !tensor.external_data.is_empty() {
            return Err(TensorError::External);
        }
        let raw = tensor.raw_data.as_deref();
        let number = tensor.data_type.unwrap_or(0);
        let elements = match (DataType::try_from(number), raw) {
            (Ok(DataType::Float), Some(raw)) => of_raw(raw, f32::from_le_bytes)?.into(),
            (Ok(DataType::Float), None) => tensor.float_data.clone().into(),
            (Ok(DataType::Double), Some(raw)) => {
                of_raw(raw, |bytes| f64::from_le_bytes(bytes) as f32)?.into()
            }
            (Ok(DataType::Double), None) => {
                let narrowed = tensor.double_data.iter().map(|&value| value as f32);
                narrowed.collect::<Vec<_>>().into()
            }
            (Ok(DataType::Int64), Some(raw)) => of_raw(raw, i64::from_le_bytes)?.into(),
            (Ok(DataType::Int64), None) => tensor.int64_data.clone().into(),
            (Ok(DataType::Int32), Some(raw)) => {
                of_raw(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))?.into()
            }
            (Ok(DataType::Bool), Some(raw)) => of_raw(raw, |[byte]| i64::from(byte))?.into(),
            (Ok(DataType::Int32 | DataType::Bool), None) => {
                let widened = tensor.int32_data.iter().copied().map(i64::from);
                widened.collect::<Vec<_>>().into()
            }
            (Ok(other), _) => return Err(TensorError::Type(other.as_str_name().to_lowercase())),
            (Err(_), _) => return Err(TensorError::Type(number.to_string())),
        };
        let impossible = || TensorError::Dimensions(tensor.dims.clone());
        let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
        let dims: Vec<usize> = dims.collect::<Option<_>>().ok_or_else(impossible)?;
        // An empty list may be a shape, an empty matrix is nothing.
        if dims.len() > 1 && dims.contains(&0) {
            return Err(impossible());
        }
        let product = |product: usize, &dim: &usize| product.checked_mul(dim);
        let expected = dims.iter().try_fold(1, product).ok_or_else(impossible)?;
        let found = match &elements {
            Elements::Float(values) => values.len(),
            Elements::Int(values) => values.len(),
        };
        if found == expected {
            Ok(Self { dims, elements })
        } else {
            Err(TensorError::Length { found, expected })
        }
    }

    /// A list.
    pub(super) fn list<T>(values: Vec<T>) -> Self
    where
        Vec<T>: Into<Elements>,
    {
        Self {
            dims: vec![values.len()],
            elements: values.into(),
        }
    }

    /// A single number.
    pub(super) fn scalar<T>(value: T) -> Self
    where
        Vec<T>: Into<Elements>,
    {
        Self {
            dims: Vec::new(),
            elements: vec![value].into(),
        }
    }

    /// The elements of a tensor of floating-point numbers.
    pub(super) fn floats(&self) -> Result<&[f32], TensorError> {
        match &self.elements {
            Elements::Float(values) => Ok(values),
            Elements::Int(_) => Err(TensorError::Type("int".into())),
        }
    }

    /// The elements of a tensor of integers.
    pub(super) fn ints(&self) -> Result<&[i64], TensorError> {
        match &self.elements {
            Elements::Int(values) => Ok(values),
            Elements::Float(_) => Err(TensorError::Type("float".into())),
        }
    }

    /// Columns become rows, for a matrix of floating-point numbers.
    pub(super) fn transposed(&self) -> Option<Self> {
        let (&[rows, columns], Elements::Float(values)) = (self.dims.as_slice(), &self.elements)
        else {
            return None;
        };
        let column = |c: usize| (0..rows).map(move |r| values[r * columns + c]);
        let transposed: Vec<f32> = (0..columns).flat_map(column).collect();
        Some(Self {
            dims: vec![columns, rows],
            elements: transposed.into(),
        })
    }
}

impl From<Vec<f32>> for Elements {
    fn from(values: Vec<f32>) -> Self {
        Self::Float(values)
    }
}

impl From<Vec<i64>> for Elements {
    fn from(values: Vec<i64>) -> Self {
        Self::Int(values)
    }
}

fn of_raw<const SIZE: usize, T>(
    raw: &[u8],
    read: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>, TensorError> {
    match raw.as_chunks::<SIZE>() {
        (chunks, []) => Ok(chunks.iter().map(|&bytes| read(bytes)).collect()),
        _ => Err(TensorError::Ragged { bytes: raw.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dims: &[i64], raw: &[u8]) -> Result<Tensor, TensorError> {
        Tensor::read(&TensorProto {
            dims: dims.to_vec(),
            data_type: Some(DataType::Float.into()),
            raw_data: Some(raw.to_vec()),
            ..TensorProto::default()
        })
    }

    #[test]
    fn dimensions_are_checked_against_the_data() {
        let tensor = read(&[2, 1], &[0, 0, 128, 63, 0, 0, 0, 192]).unwrap();
        assert_eq!(tensor.floats(), Ok([1.0, -2.0].as_slice()));
        assert_eq!(
            read(&[1 << 40], &[0; 8]),
            Err(TensorError::Length {
                found: 2,
                expected: 1 << 40
            })
        );
        let beyond = [i64::MAX, i64::MAX];
        assert_eq!(
            read(&beyond, &[]),
            Err(TensorError::Dimensions(beyond.to_vec()))
        );
        let empty = [0, 1 << 50];
        assert_eq!(
            read(&empty, &[]),
            Err(TensorError::Dimensions(empty.to_vec()))
        );
        assert_eq!(read(&[-1], &[]), Err(TensorError::Dimensions(vec![-1])));
        assert_eq!(read(&[1], &[0; 5]), Err(TensorError::Ragged { bytes: 5 }));
    }
}
