//! The form in which events go out, which is promised.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const ID: Uuid = Uuid::from_u128(7);

fn json_of(fact: Fact, by: Actor) -> Value {
    let time = DateTime::from_timestamp(1_800_000_000, 5_000_000).unwrap();
    serde_json::to_value(fact.at(time, by)).unwrap()
}

/// One of each kind, with the words that its reason can be.
fn all() -> Vec<EventKind> {
    use EventKind as Kind;
    let (failure, budget) = (CredentialFailure::NoAccount, AttemptBudget::Account);
    vec![
        Kind::UserCreated,
        Kind::UserDisabled,
        Kind::UserEnabled,
        Kind::UserDeleted,
        Kind::RolesChanged,
        Kind::ScopesChanged,
        Kind::LoggedIn,
        Kind::LoginFailed { reason: failure },
        Kind::PasswordChanged,
        Kind::PasswordChangeFailed { reason: failure },
        Kind::RefreshRetried { reason: Retry::SameToken },
        Kind::TokenMismatch { refresh_session_id: SessionId(ID) },
        Kind::RefreshTokenReused,
        Kind::DatabaseRestored,
        Kind::SessionEnded { reason: RevocationReason::LoggedOut },
        Kind::AllSessionsEnded { reason: RevocationReason::RevokedByHost, sessions: 7 },
        Kind::Throttled { reason: budget, retry_after: 30 },
        Kind::LoginCeilingReached,
        Kind::SigningKeyChanged { reason: KeyState::Announced, kid: "kid".into() },
        Kind::OriginRejected { reason: OriginFault::Opaque },
    ]
}

#[test]
fn an_event_is_one_flat_object() {
    let ended = Fact::session_ended(SessionId(ID), UserId(ID), RevocationReason::LoggedOut);
    let address = Some("192.0.2.7".parse().unwrap());
    assert_eq!(
        json_of(ended, Actor::Client { address }),
        json!({
            "time": "2027-01-15T08:00:00.005Z", "event": "session_ended", "reason": "logged_out",
            "by": "client", "address": "192.0.2.7",
            "user_id": ID, "session_id": ID,
        })
    );
    assert_eq!(
        json_of(Fact::key_changed("abc", KeyState::Retired), Actor::Service),
        json!({
            "time": "2027-01-15T08:00:00.005Z", "event": "signing_key_changed", "reason": "retired", "kid": "abc",
            "by": "service",
        })
    );
}

#[test]
fn names_and_reasons_are_those_of_the_members() {
    for kind in all() {
        let (name, reason) = (kind.name(), kind.reason());
        let json = json_of(Fact::new(kind), Actor::Application);
        assert_eq!(json["event"], name);
        assert_eq!(json["reason"], json!(reason), "{name}");
    }
}

#[test]
fn every_reason_is_written_as_it_is_named() {
    use CredentialFailure as Failure;
    let words = |value: Value| value.as_str().unwrap().to_owned();
    for failure in [
        Failure::NoAccount,
        Failure::NoPassword,
        Failure::WrongPassword,
        Failure::UnusableHash,
        Failure::ChangedMeanwhile,
        Failure::HostRefused,
    ] {
        assert_eq!(words(json!(failure)), failure.as_str());
    }
    use AttemptBudget as Budget;
    for budget in [
        Budget::Device,
        Budget::AccountAndAddress,
        Budget::AccountAndSite,
        Budget::Account,
        Budget::Address,
        Budget::Registrations,
        Budget::PasswordChange,
    ] {
        assert_eq!(words(json!(budget)), budget.as_str());
    }
    for retry in [Retry::SameToken, Retry::SameSuccessor] {
        assert_eq!(words(json!(retry)), retry.as_str());
    }
    use OriginFault as Fault;
    for fault in [Fault::Repeated, Fault::Opaque, Fault::ForeignOrigin, Fault::ForeignSite, Fault::NoEvidence]
    {
        assert_eq!(words(json!(fault)), fault.as_str());
    }
    for state in [KeyState::Announced, KeyState::Signing, KeyState::Retired, KeyState::Compromised] {
        assert_eq!(words(json!(state)), state.as_str());
    }
    for reason in RevocationReason::all() {
        assert_eq!(words(json!(reason)), reason.as_str());
    }
}

#[test]
fn copies_of_tokens_old_databases_an_end_of_everything_guessed_accounts_lost_keys_and_broken_hashes_are_alarms()
 {
    let alarms: Vec<_> = all().into_iter().filter(|kind| kind.severity() == Severity::Alarm).collect();
    let names: Vec<_> = alarms.iter().map(EventKind::name).collect();
    assert_eq!(
        names,
        ["refresh_token_reused", "database_restored", "all_sessions_ended", "login_ceiling_reached"]
    );
    let compromised = EventKind::SigningKeyChanged { reason: KeyState::Compromised, kid: String::new() };
    let unusable = EventKind::LoginFailed { reason: CredentialFailure::UnusableHash };
    assert_eq!((compromised.severity(), unusable.severity()), (Severity::Alarm, Severity::Alarm));
}

#[test]
fn alarms_are_listed_with_their_reasons() {
    let reason = CredentialFailure::UnusableHash;
    let with_reasons = [
        EventKind::LoginFailed { reason },
        EventKind::PasswordChangeFailed { reason },
        EventKind::SigningKeyChanged { reason: KeyState::Compromised, kid: String::new() },
    ];
    let alarms = all().into_iter().chain(with_reasons).filter(|kind| kind.severity() == Severity::Alarm);
    let alarms: Vec<_> = alarms.map(|kind| (kind.name(), kind.reason().unwrap_or_default())).collect();
    assert_eq!(alarms, ALARMS);
}

#[test]
fn reuse_and_an_old_database_have_events_of_their_own() {
    let kind = |reason| Fact::session_ended(SessionId(ID), UserId(ID), reason).kind;
    assert_eq!(kind(RevocationReason::Reuse), EventKind::RefreshTokenReused);
    assert_eq!(kind(RevocationReason::DatabaseRestored), EventKind::DatabaseRestored);
    let reason = RevocationReason::Evicted;
    assert_eq!(kind(reason), EventKind::SessionEnded { reason });
}
