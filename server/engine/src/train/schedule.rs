//! The learning rate over a run (e2e_sae's `get_cosine_schedule_with_warmup`): linear from 0 at step 0, then half a cosine; ours
//! may end before the run does, so that the run can be seen to stand still.

/// The factor on the peak learning rate at optimiser step `step` of `n_steps`, both from 0.
pub fn factor(schedule: &api::Schedule, step: usize, n_steps: usize) -> f64 {
    let warmup = schedule.warmup_steps;
    if step < warmup {
        return step as f64 / warmup as f64;
    }
    let cosine = n_steps.saturating_sub(warmup + schedule.hold_steps).max(1);
    let progress = ((step - warmup) as f64 / cosine as f64).min(1.0);
    let min = schedule.min_lr_factor;
    min + (1.0 - min) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: api::Schedule = api::Schedule {
        warmup_steps: 10,
        min_lr_factor: 0.1,
        hold_steps: 0,
    };

    #[test]
    fn its_shape() {
        assert_eq!(factor(&SCHEDULE, 0, 110), 0.0);
        assert_eq!(factor(&SCHEDULE, 5, 110), 0.5);
        assert_eq!(factor(&SCHEDULE, 10, 110), 1.0);
        assert!((factor(&SCHEDULE, 60, 110) - 0.55).abs() < 1e-12);
        assert!((factor(&SCHEDULE, 110, 110) - 0.1).abs() < 1e-12);
        let constant = api::Schedule {
            warmup_steps: 0,
            min_lr_factor: 1.0,
            hold_steps: 0,
        };
        assert_eq!(factor(&constant, 0, 5), 1.0);
    }

    #[test]
    fn a_hold_is_the_shorter_run_and_then_its_last_rate() {
        let held = api::Schedule {
            hold_steps: 40,
            ..SCHEDULE
        };
        for step in 0..110 {
            assert_eq!(factor(&held, step, 150), factor(&SCHEDULE, step, 110));
        }
        for step in 110..150 {
            assert!((factor(&held, step, 150) - 0.1).abs() < 1e-12);
        }
    }
}
