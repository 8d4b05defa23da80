//! The comparisons of a case, as tests of the runner.

use std::sync::Arc;

use libtest_mimic::{Completion, Trial};

use crate::compare::Outcome;
use crate::discover::Case;

/// Collects the named tests of one case.
pub(crate) struct CaseTests {
    case: Arc<Case>,
    trials: Vec<Trial>,
}

impl CaseTests {
    /// No tests yet of `case`.
    pub(crate) fn new(case: Arc<Case>) -> Self {
        Self {
            case,
            trials: Vec::new(),
        }
    }

    /// The case.
    pub(crate) fn case(&self) -> &Case {
        &self.case
    }

    /// Adds a comparison that reads `files`; it shows as ignored when the case lacks one of them.
    pub(crate) fn compare(
        &mut self,
        name: &str,
        files: &[&str],
        test: impl FnOnce(&Case) -> Outcome + Send + 'static,
    ) {
        if let Some(file) = files.iter().find(|f| !self.case.has(f)) {
            self.ignored(name, &format!("the case has no {file}"));
            return;
        }
        let case = Arc::clone(&self.case);
        self.trials
            .push(Trial::test(self.full_name(name), move || test(&case)));
    }

    /// Adds a comparison of which the case itself says whether it is an exception: the test then answers with the reason, and shows as ignored.
    pub(crate) fn compare_unless(
        &mut self,
        name: &str,
        files: &[&str],
        test: impl FnOnce(&Case) -> Outcome<Completion> + Send + 'static,
    ) {
        if let Some(file) = files.iter().find(|f| !self.case.has(f)) {
            self.ignored(name, &format!("the case has no {file}"));
            return;
        }
        let case = Arc::clone(&self.case);
        self.trials
            .push(Trial::ignorable_test(self.full_name(name), move || test(&case)));
    }

    /// Adds a comparison that cannot be made yet.
    pub(crate) fn ignored(&mut self, name: &str, reason: &str) {
        self.trials
            .push(ignored_trial(self.full_name(name), reason.to_owned()));
    }

    /// The tests.
    pub(crate) fn finish(self) -> Vec<Trial> {
        self.trials
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.case.name)
    }
}

/// A test that shows as ignored with its reason.
pub(crate) fn ignored_trial(name: String, reason: String) -> Trial {
    Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
}
