//! `authflow doctor`: whether the way from a client to the service leaves what the service relies on as it is.

mod findings;
mod way;

use actix_web::web;

use self::findings::{Finding, Verdict, examine};
use self::way::Way;
use super::{Result, screen};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where clients find the scope, such as https://app.example.com/auth.
    #[arg(long)]
    url: String,
}

/// Sends a few requests, shows what they tell, and fails if something has to be changed.
pub(crate) async fn doctor(options: Options) -> Result {
    let way = Way::to(&options.url)?;
    let url = way.to_string();
    let observed = web::block(move || way.observe().map_err(|error| error.to_string())).await??;
    let findings = examine(&observed);
    screen::show(&report(&url, &findings));
    match count(&findings, |verdict| matches!(verdict, Verdict::Fault { .. })) {
        0 => Ok(()),
        1 => Err("one fault was found".into()),
        several => Err(format!("{several} faults were found").into()),
    }
}

fn count(findings: &[Finding], is: impl Fn(&Verdict) -> bool) -> usize {
    findings.iter().filter(|finding| is(&finding.verdict)).count()
}

fn report(url: &str, findings: &[Finding]) -> String {
    let mut text = format!("authflow doctor {url}\n");
    for Finding { subject, verdict } in findings {
        text += &match verdict {
            Verdict::Good => format!("\n  ok     {subject}"),
            Verdict::Hint { seen, remedy } => format!("\n  hint   {subject}: {seen}\n         {remedy}"),
            Verdict::Fault { seen, remedy } => format!("\n  FAULT  {subject}: {seen}\n         {remedy}"),
        };
    }
    printable(&text)
}

/// Part of the text comes from whoever answered, who has no say over the terminal.
fn printable(text: &str) -> String {
    text.replace(|letter: char| letter.is_control() && letter != '\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_was_seen_and_what_to_change() {
        let findings = [
            Finding { subject: "Host", verdict: Verdict::Good },
            Finding {
                subject: "Cookie",
                verdict: Verdict::Fault { seen: "it is gone".into(), remedy: "let it through".into() },
            },
        ];
        assert_eq!(
            report("https://app.example.com/auth", &findings),
            "authflow doctor https://app.example.com/auth\n\n  ok     Host\n  FAULT  Cookie: it is gone\n         let it through"
        );
    }

    #[test]
    fn what_was_answered_does_not_steer_the_terminal() {
        let verdict = Verdict::Hint { seen: "\u{1b}[2Jcleared\r\u{9b}1m".into(), remedy: String::new() };
        let text = report("https://app.example.com/auth", &[Finding { subject: "Host", verdict }]);
        assert!(text.contains("\u{fffd}[2Jcleared\u{fffd}\u{fffd}1m"), "{text:?}");
    }
}
