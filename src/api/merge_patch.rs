//! What has changed between two pictures, as a merge patch (RFC 7386): most pictures differ in a few
//! figures, and a link may be slow.

use serde_json::{Map, Value};

/// What turns `old` into `new`; `None` where nothing differs. A value that is null in `new` inside an
/// object cannot be told from a missing one: ours are read the same.
pub fn diff(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return Some(new.clone());
    };
    let mut changed = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) => {
                if let Some(patch) = diff(before, value) {
                    changed.insert(key.clone(), patch);
                }
            }
            None => {
                changed.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k)) {
        changed.insert(key.clone(), Value::Null);
    }
    Some(Value::Object(changed))
}

/// Applies a patch.
pub fn apply(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(&key);
        } else {
            apply(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), without_nulls(v)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "[a-z]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn only_what_changed_is_said() {
        let old = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 4}, "e": [1, 2]});
        assert_eq!(
            diff(&old, &new),
            Some(json!({"b": {"c": 4, "d": null}, "e": [1, 2]}))
        );
        assert_eq!(diff(&old, &old), None);
    }

    proptest! {
        #[test]
        fn a_patch_brings_there(old in value(), new in value()) {
            let (old, new) = (json!({"v": old}), json!({"v": new}));
            let mut made = old.clone();
            if let Some(patch) = diff(&old, &new) {
                apply(&mut made, patch);
            }
            prop_assert_eq!(without_nulls(&made), without_nulls(&new));
        }
    }
}
