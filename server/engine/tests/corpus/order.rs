//! The order of visits.

use engine::corpus::Order;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_order_resumes_anywhere(seed: u64, n in 1_usize..40, from in 0_u64..200) {
        let mut whole = Order::new(seed, n);
        let visited: Vec<usize> = (0..300).map(|position| whole.at(position)).collect();
        let mut resumed = Order::new(seed, n);
        for position in from..300 {
            prop_assert_eq!(resumed.at(position), visited[position as usize]);
        }
        for (pass, visits) in visited.chunks_exact(n).enumerate() {
            prop_assert_eq!(whole.pass((pass * n) as u64), pass as u64);
            let mut sorted = visits.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        }
    }
}

/// Stored runs depend on these numbers (computed independently, from ChaCha8's definition).
#[test]
fn the_order_never_changes() {
    let mut order = Order::new(7, 8);
    let visited: Vec<usize> = (0..16).map(|position| order.at(position)).collect();
    assert_eq!(visited, [2, 5, 7, 4, 1, 0, 3, 6, 4, 2, 5, 1, 3, 7, 0, 6]);
    assert_ne!(visited[..8], visited[8..]);
    let mut other = Order::new(8, 8);
    assert_ne!(visited, (0..16).map(|position| other.at(position)).collect::<Vec<_>>());
}
