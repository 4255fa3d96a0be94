//! Chance for the simulations, without a crate: the same on every run of a seed.

/// Numbers that look random: xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003). The seed is not 0.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number less than `below`, or 0.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }
}
