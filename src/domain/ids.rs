//! Identifiers, one type for each kind so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub(crate) Uuid);

        impl $name {
            /// The identifier as a plain UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// A user: the `sub` claim (RFC 7519 §4.1.2) and the key of `authflow.users`.
    UserId
}

id! {
    /// A session, that is one login on one device: the `sid` claim and the key of `authflow.sessions`.
    SessionId
}

impl UserId {
    /// A new identifier (UUIDv7, so that rows made together lie together). Not a secret.
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl SessionId {
    /// A new identifier (UUIDv7, so that rows made together lie together). Not a secret.
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}
