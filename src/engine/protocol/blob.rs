//! Bytes that cross the seam.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are mostly text: a string in JSON where they are UTF-8, else `{"base64": "…"}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BlobForm {
    Text(String),
    Base64 { base64: String },
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => BlobForm::Base64 {
                base64: STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match BlobForm::deserialize(deserializer)? {
            BlobForm::Text(text) => Ok(Self(text.into_bytes())),
            BlobForm::Base64 { base64 } => STANDARD
                .decode(base64)
                .map(Self)
                .map_err(serde::de::Error::custom),
        }
    }
}

/// A diff: its bytes, or a plain file that the caller has opened. Inside one process the file is read as a
/// stream; over the wire both are the same text.
#[derive(Debug, Clone)]
pub enum DiffContent {
    /// In memory.
    Bytes(Blob),
    /// Opened by whoever named it. Must be a plain file, so that reading it cannot block.
    File(Arc<File>),
}

impl From<Vec<u8>> for DiffContent {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Blob(bytes))
    }
}

impl PartialEq for DiffContent {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for DiffContent {}

impl Serialize for DiffContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(blob) => blob.serialize(serializer),
            Self::File(file) => {
                let mut bytes = Vec::new();
                let mut file = &**file;
                file.rewind()
                    .and_then(|()| file.read_to_end(&mut bytes))
                    .map_err(serde::ser::Error::custom)?;
                Blob(bytes).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for DiffContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Blob::deserialize(deserializer).map(Self::Bytes)
    }
}
