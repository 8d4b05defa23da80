//! Standard error: the progress bar, the log, and notes, which do not disturb each other.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use engine_api::data::ColumnNote;
use indicatif::{ProgressBar, ProgressDrawTarget};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::CommonArgs;
use crate::messages;

/// Variable with a filter for the log, as `engine_core=debug`.
const LOG_VARIABLE: &str = "ARGN_LOG";

/// Standard error as a terminal: what a user sees besides results.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    bar: ProgressBar,
    is_quiet: bool,
}

impl Terminal {
    /// Opens standard error and starts the log. The bar is shown on a terminal only, and not when it shall be quiet.
    pub(crate) fn open(common: &CommonArgs) -> Self {
        let is_seen = !common.quiet && io::stderr().is_terminal();
        let target = if is_seen {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let terminal = Self {
            bar: ProgressBar::with_draw_target(None, target),
            is_quiet: common.quiet,
        };
        terminal.start_log(common);
        terminal
    }

    /// Warnings and what was found about a table's values; all steps when requested; what the variable says if it is set.
    fn start_log(&self, common: &CommonArgs) {
        let default = match (common.quiet, common.verbose) {
            (true, _) => Targets::new().with_default(Level::ERROR),
            (_, true) => Targets::new().with_default(Level::INFO),
            _ => Targets::new()
                .with_default(Level::WARN)
                .with_target("engine_api::data", Level::INFO),
        };
        let asked = std::env::var(LOG_VARIABLE).ok();
        let filter = asked.and_then(|text| text.parse().ok()).unwrap_or(default);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(self.clone())
            .event_format(Plain)
            .with_filter(filter);
        // The first log of a process stays; there is no other.
        let _ = tracing_subscriber::registry().with(lines).try_init();
    }

    /// The bar.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Prints a note, unless it shall be quiet.
    pub(crate) fn report(&self, text: &str) {
        if !self.is_quiet {
            self.print(text);
        }
    }

    /// Writes a line above the bar. Where standard error is closed nobody reads it, so its errors do not count.
    pub(crate) fn print(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}

/// A line of the log on its way to the terminal.
pub(crate) struct Line<'a>(&'a Terminal);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bar.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Events as sentences: `note: NaN read as null (column "age", count 3)`.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let kind = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "note",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        let Sentence { message, fields } = sentence;
        if fields.is_empty() {
            writeln!(writer, "{kind}: {message}")
        } else {
            writeln!(writer, "{kind}: {message} ({})", fields.join(", "))
        }
    }
}

#[derive(Default)]
struct Sentence {
    message: String,
    fields: Vec<String>,
}

impl Visit for Sentence {
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        match value.downcast_ref::<ColumnNote>() {
            Some(note) => self.message = messages::note(note),
            None => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push(format!("{} {value:?}", name.replace('_', " "))),
        }
    }
}
