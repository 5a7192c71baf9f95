//! Puts things in order by a number. The standard library's sorts are made anew for each type, and each of them is as much
//! code as ten of these calls.

/// The numbers of so many things and where each thing is, the least number first; things of the same number stay in their
/// order.
#[inline(never)]
pub fn by_number(count: usize, number: &dyn Fn(usize) -> i64) -> Vec<(i64, i64)> {
    let mut order = Vec::new();
    for at in 0..count {
        order.push((number(at), at as i64));
    }
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_first_and_equal_ones_stay_in_their_order() {
        let numbers = [7, -1, 7, i64::MIN, -1];
        let order: Vec<i64> = by_number(numbers.len(), &|at| numbers[at]).iter().map(|(_, at)| *at).collect();
        assert_eq!(order, [3, 1, 4, 0, 2]);
    }
}
