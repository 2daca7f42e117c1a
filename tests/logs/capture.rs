//! A net for everything that is logged.

use std::io::Write;
use std::sync::Mutex;

use diesel::connection::InstrumentationEvent;
use tracing_subscriber::filter::LevelFilter;

static CAPTURED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Capture;

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn captured() -> String {
    String::from_utf8_lossy(&CAPTURED.lock().unwrap()).into_owned()
}

/// Captures what is logged by `tracing`, by `log`, and by Diesel if a host lets it.
pub(crate) fn capture_everything() {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(|| Capture)
        .init();
    let instrumentation = || -> Option<Box<dyn diesel::connection::Instrumentation>> {
        Some(Box::new(|event: InstrumentationEvent<'_>| {
            let event = match &event {
                InstrumentationEvent::StartQuery { query, .. } => format!("{query} {query:?}"),
                other => format!("{other:?}"),
            };
            // One line in one piece, whatever other threads write.
            let _ = Capture.write_all(format!("diesel: {}\n", event.replace('\n', " ")).as_bytes());
        }))
    };
    diesel::connection::set_default_instrumentation(instrumentation).unwrap();
}
