//! Fields that may be of any type: one that is not what was expected is as good as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The field's value; the default where it is of another type.
pub(super) fn lenient<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let raw = <&RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

/// An error that stands where none is expected; `null` is none.
pub(super) fn is_error(error: &serde_json::Value) -> bool {
    !error.is_null()
}
