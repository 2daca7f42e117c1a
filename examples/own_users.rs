//! A host with users of its own. Registration is closed, and there are two kinds of users:
//!
//! - members, whom the host knows from a table of its own and logs in by itself (`ensure_user`, `start_session`);
//! - staff, whom the host makes and who then log in at `/auth/login` (`create_user`, `set_password`).
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/app AUTHFLOW_SECRET=$(openssl rand -base64 32) cargo run --example own_users
//! ```

use std::error::Error;

use actix_authflow::{
    Auth, AuthConfig, AuthError, Authenticated, ErrorCode, Registration, SessionTokens, Transport, User,
    UserDraft, UserId,
};
use actix_web::{App, HttpResponse, HttpServer, get, post, web};
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::{Integer, Text};
use serde::Deserialize;

type Database = Pool<ConnectionManager<PgConnection>>;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS members (number serial PRIMARY KEY, name text UNIQUE NOT NULL, password text NOT NULL);
    CREATE TABLE IF NOT EXISTS preferences (user_id uuid PRIMARY KEY, theme text NOT NULL);";

#[derive(QueryableByName)]
struct Member {
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Text)]
    password: String,
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

/// The host's own login. It takes JSON only: a form of a foreign page cannot send that, so nobody can be logged in from
/// there.
#[post("/login")]
async fn log_in(
    auth: web::Data<Auth>,
    database: web::Data<Database>,
    web::Json(login): web::Json<Login>,
) -> Result<SessionTokens, AuthError> {
    let check = web::block(move || find_member(&database, &login));
    let number =
        check.await.map_err(unavailable)?.map_err(unavailable)?.ok_or(ErrorCode::InvalidCredentials)?;
    let user = auth.ensure_user(&format!("member-{number}")).await?;
    match auth.start_session(user.id, Transport::Cookie).await {
        // A member who was disabled.
        Err(actix_authflow::Error::UnknownUser) => Err(ErrorCode::InvalidCredentials.into()),
        started => Ok(started?),
    }
}

/// The number of the member, if name and password belong together. An application should also see to it that an unknown
/// name takes as long as a wrong password, and that nobody can try forever.
fn find_member(database: &Database, login: &Login) -> Result<Option<i32>, Box<dyn Error + Send + Sync>> {
    let query = diesel::sql_query("SELECT number, password FROM members WHERE name = $1");
    let found: Option<Member> =
        query.bind::<Text, _>(&login.name).get_result(&mut database.get()?).optional()?;
    let Some(member) = found else { return Ok(None) };
    let stored = PasswordHash::new(&member.password).map_err(|error| error.to_string())?;
    let right = Argon2::default().verify_password(login.password.as_bytes(), &stored).is_ok();
    Ok(right.then_some(member.number))
}

/// The registration hook: runs in the transaction that makes a user, whichever way that happens.
fn add_preferences(connection: &mut PgConnection, user: &User) -> QueryResult<()> {
    let insert = diesel::sql_query("INSERT INTO preferences (user_id, theme) VALUES ($1, 'light')");
    insert.bind::<diesel::sql_types::Uuid, _>(user.id.as_uuid()).execute(connection).map(drop)
}

#[get("/me")]
async fn me(user: Authenticated) -> String {
    format!("user {}, roles {:?}", user.id(), user.claims().roles())
}

#[derive(Deserialize)]
struct NewPassword {
    user: UserId,
    password: String,
}

/// An administrator sets somebody's password, which ends every session of that user.
#[post("/passwords")]
async fn set_password(
    auth: web::Data<Auth>,
    caller: Authenticated,
    web::Json(new): web::Json<NewPassword>,
) -> Result<HttpResponse, AuthError> {
    if !caller.has_role("admin") {
        return Err(ErrorCode::Forbidden.into());
    }
    match auth.set_password(new.user, new.password).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(actix_authflow::Error::Invalid(_)) => Err(ErrorCode::WeakPassword.into()),
        Err(error) => Err(error.into()),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = ConnectionManager::<PgConnection>::new(std::env::var("DATABASE_URL")?);
    let database = Pool::builder().max_size(4).build(manager)?;
    database.get()?.batch_execute(TABLES)?;
    add_member(&database, "alice", "tea at four o'clock")?;

    let config = AuthConfig::from_env()?
        .registration(Registration::Closed)
        .on_registration(|connection, user| Ok(add_preferences(connection, user)?));
    let address = config.bind_address();
    let auth = Auth::connect(config).await?;
    let admin =
        UserDraft::new().email("admin@example.com").password("a long walk by the sea").roles(["admin"]);
    match auth.create_user(admin).await {
        Ok(_) | Err(actix_authflow::Error::Taken) => {}
        Err(error) => return Err(error.into()),
    }

    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(auth.clone()))
            .app_data(web::Data::new(database.clone()))
            .configure(auth.routes("/auth"))
            .service(log_in)
            .service(web::scope("/api").wrap(auth.guard()).service(me).service(set_password))
            .wrap(auth.hide_cookie())
    })
    .bind(address)?
    .run()
    .await?;
    Ok(())
}

fn add_member(database: &Database, name: &str, password: &str) -> Result<(), Box<dyn Error>> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    let insert =
        diesel::sql_query("INSERT INTO members (name, password) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    insert.bind::<Text, _>(name).bind::<Text, _>(hash.to_string()).execute(&mut database.get()?)?;
    Ok(())
}

/// What went wrong goes to the log of the host; the client learns only that it may try again.
fn unavailable(error: impl std::fmt::Display) -> AuthError {
    eprintln!("own_users: {error}");
    ErrorCode::StorageUnavailable.into()
}
