//! Objects that may not decode: written for another version of the CRD, or by hand past its schema.

use std::borrow::Cow;

use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::api::ServerRef;

/// An object, or what could be made out of it.
///
/// The idea is that of [`kube::core::DeserializeGuard`]: one object that does not decode must not fail the list of all
/// others. Beyond that, a status that does not decode costs the status and not the object, and of a spec that does not
/// decode the few fields are kept that tell how far it could reach.
#[derive(Clone, Debug)]
pub struct Decoded<K>(pub Result<K, Undecodable>);

/// What could be made out of an object that does not decode.
#[derive(Clone, Debug, Default)]
pub struct Undecodable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What serde says, cut to 256 characters.
    pub error: String,
    /// Its `spec.serverRef`, where that decodes.
    pub server_ref: Option<ServerRef>,
    /// Its `spec.priority`, where that is a number.
    pub priority: Option<i32>,
    /// Its `spec.suspend`.
    pub suspend: bool,
    /// Its status, to be decoded as what it should be.
    pub status: Value,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        // Managed fields are the greater part of a small object, and nobody here reads them.
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let error = match K::deserialize(&value) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error,
        };
        let status = value.as_object_mut().and_then(|object| object.remove("status")).unwrap_or_default();
        if let Ok(object) = K::deserialize(&value) {
            return Ok(Self(Ok(object)));
        }
        let spec = &value["spec"];
        Ok(Self(Err(Undecodable {
            metadata: ObjectMeta::deserialize(&value["metadata"]).map_err(serde::de::Error::custom)?,
            error: error.to_string().chars().take(256).collect(),
            server_ref: ServerRef::deserialize(&spec["serverRef"]).ok(),
            priority: spec["priority"].as_i64().and_then(|priority| priority.try_into().ok()),
            suspend: spec["suspend"] == true,
            status,
        })))
    }
}

impl<K: Resource> Resource for Decoded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|undecodable| &undecodable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|undecodable| &mut undecodable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::RoomPolicy;

    fn decode(value: Value) -> Decoded<RoomPolicy> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_does_not_decode_keeps_what_tells_its_reach() {
        let Decoded(result) = decode(json!({
            "metadata": {"name": "webinar", "namespace": "events", "managedFields": [{"manager": "x"}]},
            "spec": {"serverRef": {"name": "main"}, "priority": 7, "rules": "none"},
        }));
        let undecodable = result.unwrap_err();
        assert_eq!(undecodable.metadata.name.as_deref(), Some("webinar"));
        assert_eq!(undecodable.metadata.managed_fields, None);
        assert_eq!(undecodable.server_ref.unwrap().name, "main");
        assert_eq!(undecodable.priority, Some(7));
    }

    #[test]
    fn a_strange_status_costs_the_status_alone() {
        let Decoded(result) = decode(json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy",
            "metadata": {"name": "webinar", "namespace": "events"},
            "spec": {"serverRef": {"name": "main"}, "rooms": [{"exact": "a"}], "rules": []},
            "status": {"observedGeneration": "many"},
        }));
        assert_eq!(result.unwrap().status, None);
    }
}
