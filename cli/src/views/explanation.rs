//! Why what of a job waits does not run.

use longshore_client::{
    escape,
    v1::{Explanation, Hindered, JobView, Why},
};
use serde_json::{Value, json};

use super::{
    brief::short,
    job::state_word,
    why::{hindered, next, sentence},
};
use crate::{
    amounts::{moment, now_ms, some},
    printer::{Values, View},
};

/// Why what of a job waits does not run: what has to be mended first comes first.
#[derive(Debug)]
pub struct ExplanationView(pub Explanation);

impl ExplanationView {
    fn job(&self) -> &JobView {
        static NONE: std::sync::LazyLock<JobView> = std::sync::LazyLock::new(JobView::default);
        self.0.job.as_ref().unwrap_or(&NONE)
    }

    fn told(&self, now_ms: u64) -> String {
        let job = self.job();
        let id = short(&job.job_id);
        let name = if job.name.is_empty() { String::new() } else { format!(" {}", escape::line(&job.name)) };
        let run = if self.0.running == 1 { "runs" } else { "run" };
        let mut lines =
            vec![format!("job {id}{name}: {}, {} {run}", state_word(job.state()), some(self.0.running, "item"))];
        if self.0.disk_full {
            lines.push("the coordinator's disk is full: nothing is given out until there is room".to_owned());
            lines.push("    next: longshore doctor".to_owned());
        }
        for why in &self.0.why {
            let place =
                if why.stage.is_empty() { String::new() } else { format!("stage {}: ", escape::line(&why.stage)) };
            lines.push(format!("{place}{}", escape::line(&sentence(why, job, now_ms))));
            if !why.example.is_empty() {
                lines.push(format!("    for instance {}", escape::line(&why.example)));
            }
            lines.extend(why.workers.iter().map(|workers| format!("    {}", escape::line(&hindered(workers)))));
            lines.extend(next(why, id).map(|next| format!("    next: {}", escape::line(&next))));
        }
        match (self.0.left_out, self.0.why.is_empty()) {
            (0, true) => lines.push("nothing waits".to_owned()),
            (0, false) => {}
            (more, _) => lines.push(format!("{} more that wait are not told", some(more, "group"))),
        }
        lines.join("\n")
    }
}

impl View for ExplanationView {
    fn text(&self) -> String {
        self.told(now_ms())
    }

    fn values(&self) -> Values {
        let (job, now_ms) = (self.job(), now_ms());
        let group = |why: &Why| {
            json!({
                "reason": reason_word(why),
                "stage": (!why.stage.is_empty()).then_some(&why.stage),
                "items": why.items,
                "example": (!why.example.is_empty()).then_some(&why.example),
                "message": sentence(why, job, now_ms),
                "next": next(why, &job.job_id),
                "workers": why.workers.iter().map(workers).collect::<Vec<_>>(),
                "until": moment(why.until_ms),
                "last": moment(why.last_ms),
                "count": why.count,
                "of_stage": (!why.of_stage.is_empty()).then_some(&why.of_stage),
                "jobs": why.jobs,
                "priority": why.priority,
            })
        };
        Values::One(json!({
            "id": job.job_id,
            "name": job.name,
            "state": state_word(job.state()),
            "running": self.0.running,
            "disk_full": self.0.disk_full,
            "why": self.0.why.iter().map(group).collect::<Vec<_>>(),
            "left_out": self.0.left_out,
        }))
    }

    fn names(&self) -> Vec<String> {
        self.0.why.iter().map(reason_word).collect()
    }
}

fn workers(workers: &Hindered) -> Value {
    json!({
        "by": word(workers.by().as_str_name(), "HURDLE_"),
        "workers": workers.workers,
        "slots": workers.slots,
        "names": workers.names,
        "why": (!workers.why.is_empty()).then_some(&workers.why),
        "remedy": (!workers.remedy.is_empty()).then_some(&workers.remedy),
        "until": moment(workers.until_ms),
    })
}

fn reason_word(why: &Why) -> String {
    word(why.reason().as_str_name(), "WHY_NOT_")
}

fn word(name: &str, begins: &str) -> String {
    name.trim_start_matches(begins).to_lowercase()
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::{Hurdle, JobState, WhyNot};

    use super::*;

    #[test]
    fn the_cause_comes_with_an_example_the_workers_and_the_next_command() {
        let job = JobView {
            job_id: "0198c2ab-1234".to_owned(),
            name: "find".to_owned(),
            state: JobState::Running.into(),
            ..JobView::default()
        };
        let workers = vec![Hindered {
            by: Hurdle::Lack.into(),
            workers: 1,
            slots: 4,
            names: vec!["a\u{1b}".to_owned()],
            why: "it has no label \"gpu\", and gpu is needed".to_owned(),
            remedy: "longshore worker --label gpu=".to_owned(),
            until_ms: 0,
        }];
        let why = Why {
            reason: WhyNot::NoneFits.into(),
            stage: "train".to_owned(),
            items: 1,
            example: "a.txt".to_owned(),
            workers,
            ..Why::default()
        };
        let view =
            ExplanationView(Explanation { job: Some(job), running: 1, why: vec![why], ..Explanation::default() });
        assert_eq!(
            view.text(),
            "job c2ab-1234 find: running, 1 item runs\n\
             stage train: 1 item waits: no worker that is here could ever run it\n    \
             for instance a.txt\n    \
             1 worker (a\\x1b): it has no label \"gpu\", and gpu is needed\n    \
             next: longshore worker --label gpu="
                .replace("c2ab-1234", short("0198c2ab-1234"))
        );
        let Values::One(value) = view.values() else { panic!("not one value") };
        let told = &value["why"][0];
        assert_eq!((&told["reason"], &told["workers"][0]["by"]), (&"none_fits".into(), &"lack".into()));
        assert_eq!((&told["until"], &told["next"]), (&Value::Null, &"longshore worker --label gpu=".into()));
    }

    #[test]
    fn where_nothing_waits_that_is_said_and_a_full_disk_too() {
        let view = ExplanationView(Explanation { disk_full: true, ..Explanation::default() });
        let text = view.text();
        assert!(text.contains("disk is full") && text.ends_with("nothing waits"), "{text}");
    }
}
