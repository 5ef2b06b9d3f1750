//! The learning rate over a run (e2e_sae's `get_cosine_schedule_with_warmup`): linear from 0 at step 0, then half a cosine.

/// The factor on the peak learning rate at optimiser step `step` of `n_steps`, both from 0.
pub fn factor(schedule: &api::Schedule, step: usize, n_steps: usize) -> f64 {
    let warmup = schedule.warmup_steps;
    if step < warmup {
        return step as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / (n_steps - warmup).max(1) as f64;
    let min = schedule.min_lr_factor;
    min + (1.0 - min) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_shape() {
        let schedule = api::Schedule {
            warmup_steps: 10,
            min_lr_factor: 0.1,
        };
        assert_eq!(factor(&schedule, 0, 110), 0.0);
        assert_eq!(factor(&schedule, 5, 110), 0.5);
        assert_eq!(factor(&schedule, 10, 110), 1.0);
        assert!((factor(&schedule, 60, 110) - 0.55).abs() < 1e-12);
        assert!((factor(&schedule, 110, 110) - 0.1).abs() < 1e-12);
        assert_eq!(
            factor(
                &api::Schedule {
                    warmup_steps: 0,
                    min_lr_factor: 1.0
                },
                0,
                5
            ),
            1.0
        );
    }
}
