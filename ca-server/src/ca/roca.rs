//! Flaws of an RSA modulus that can be seen without factoring it.

/// Primes that divide the primorial of every key size that the flawed chips make (Nemec et al., CCS 2017, table 1).
const PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus is even or divisible by a small prime: no product of two large primes is.
pub(super) fn has_small_factor(modulus: &[u8]) -> bool {
    modulus.last().is_none_or(|byte| byte % 2 == 0) || PRIMES.iter().any(|prime| remainder(modulus, *prime) == 0)
}

/// CVE-2017-15361: both primes have the form k·M + (65537^a mod M), so the modulus is a power of 65537 for each prime that
/// divides M. A sound modulus looks so for all of them once in some 2^27 keys.
pub(super) fn is_fingerprinted(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn is_power_of_65537(value: u32, prime: u16) -> bool {
    let (prime, mut power) = (u32::from(prime), 1);
    (0..prime).any(|_step| {
        power = power * (65_537 % prime) % prime;
        power == value
    })
}

fn remainder(number: &[u8], prime: u16) -> u32 {
    let prime = u32::from(prime);
    number.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

#[cfg(test)]
mod tests {
    use super::{has_small_factor, is_fingerprinted};

    /// 65537^n, big-endian: by construction a power of 65537 modulo every prime, and divisible by none of the small ones.
    fn power(n: u32) -> Vec<u8> {
        (0..n).fold(vec![1], |digits, _| {
            let mut out = vec![0u8; digits.len() + 3];
            for (i, digit) in digits.iter().rev().enumerate() {
                for (j, factor) in [1u16, 0, 1].into_iter().enumerate() {
                    let (mut at, mut carry) = (i + j, u16::from(*digit) * factor);
                    while carry > 0 {
                        let sum = u16::from(out[at]) + carry;
                        out[at] = u8::try_from(sum % 256).unwrap();
                        (at, carry) = (at + 1, sum / 256);
                    }
                }
            }
            while out.last() == Some(&0) {
                out.pop();
            }
            out.reverse();
            out
        })
    }

    #[test]
    fn cve_2017_15361_the_fingerprint_is_found() {
        assert_eq!(power(2), [1, 0, 2, 0, 1]);
        assert!(is_fingerprinted(&power(192)) && !has_small_factor(&power(192)));
        let mut sound = power(192);
        *sound.last_mut().unwrap() = 3;
        assert!(!is_fingerprinted(&sound));
    }

    #[test]
    fn small_factors_are_found() {
        assert!(has_small_factor(&[0xff, 0xfe]) && has_small_factor(&[21]) && has_small_factor(&[]));
        assert!(!has_small_factor(&[0x01, 0x00, 0x01]));
    }
}
