//! The memory that passwords are hashed in: kept from one hash to the next, and never more than the budget.
//!
//! Memory taken anew for each hash is kept by the allocator all the same, once for every thread that ever hashed: with a
//! pool of blocking threads that is many times what the hashes of one moment need. Kept here it is as many pieces as there
//! were hashes at once, and none has to be mapped and cleared again.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use argon2::{Block, Error};

/// Pieces of memory for hashes, which wait where the budget is used up.
pub(super) struct Memory {
    /// The blocks of a piece that is kept: enough for one hash with the parameters of today.
    usual: usize,
    /// The blocks of all pieces together. A single one that is larger is had when no other is in use.
    budget: usize,
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    /// The blocks of the pieces in use.
    used: usize,
    /// Pieces of the usual size that nobody uses just now.
    idle: Vec<Vec<Block>>,
}

/// A piece of memory, given back when it is dropped.
pub(super) struct Piece<'a> {
    blocks: Vec<Block>,
    /// What it counts for, even while it has no blocks yet.
    size: usize,
    of: &'a Memory,
}

impl Memory {
    /// `usual` blocks for a hash with the parameters of today, and `budget` blocks for all that run at once.
    pub(super) fn new(usual: usize, budget: usize) -> Self {
        Self { usual, budget, state: Mutex::default(), given_back: Condvar::new() }
    }

    /// A piece of so many blocks, or of the usual size if that is more. Stored hashes choose their own parameters, so one
    /// may ask for more than usual: it waits until the others leave room for it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] if the machine has none.
    pub(super) fn take(&self, blocks: usize) -> Result<Piece<'_>, Error> {
        let size = blocks.max(self.usual);
        let no_room = |state: &mut State| state.used > 0 && state.used + size > self.budget;
        let waited = self.given_back.wait_while(self.state(), no_room);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let kept = if size == self.usual { state.idle.pop() } else { None };
        state.used += size;
        self.shrink(&mut state);
        drop(state);
        let mut piece = Piece { blocks: kept.unwrap_or_default(), size, of: self };
        piece.blocks.try_reserve_exact(size - piece.blocks.len()).map_err(|_| Error::OutOfMemory)?;
        piece.blocks.resize(size, Block::default());
        Ok(piece)
    }

    /// Lets go of idle pieces that have no room in the budget beside those in use.
    fn shrink(&self, state: &mut State) {
        let room = self.budget.saturating_sub(state.used) / self.usual.max(1);
        state.idle.truncate(room);
    }

    /// Nothing happens under this lock that could leave the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Piece<'_> {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        &self.blocks
    }
}

impl DerefMut for Piece<'_> {
    fn deref_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.used -= self.size;
        if self.blocks.len() == self.of.usual {
            state.idle.push(std::mem::take(&mut self.blocks));
            self.of.shrink(&mut state);
        }
        drop(state);
        self.of.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn idle(memory: &Memory) -> Vec<usize> {
        memory.state().idle.iter().map(Vec::len).collect()
    }

    #[test]
    fn pieces_of_the_usual_size_are_kept_and_others_are_not() {
        let memory = Memory::new(8, 80);
        for blocks in [8, 4, 30, 8] {
            let size = memory.take(blocks).unwrap().len();
            assert_eq!((size, idle(&memory)), (blocks.max(8), vec![8]));
        }
        let both = (memory.take(8).unwrap(), memory.take(8).unwrap());
        assert_eq!(idle(&memory), [0; 0]);
        drop(both);
        assert_eq!(idle(&memory), [8, 8]);
    }

    #[test]
    fn no_more_than_the_budget_is_in_use_or_kept() {
        const BUDGET: usize = 40;
        let (memory, held) = (Memory::new(8, BUDGET), AtomicUsize::new(0));
        thread::scope(|threads| {
            for number in 0..8 {
                let (memory, held) = (&memory, &held);
                threads.spawn(move || {
                    for round in 0..200 {
                        let piece = memory.take(if (number + round) % 3 == 0 { 24 } else { 8 }).unwrap();
                        let all = held.fetch_add(piece.len(), Ordering::SeqCst) + piece.len();
                        assert!(all <= BUDGET, "{all}");
                        let state = memory.state();
                        assert!(state.used + 8 * state.idle.len() <= BUDGET);
                        drop(state);
                        thread::yield_now();
                        held.fetch_sub(piece.len(), Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(memory.state().used == 0 && idle(&memory).len() <= BUDGET / 8);
    }

    #[test]
    fn a_piece_beyond_the_budget_is_had_alone() {
        let memory = Memory::new(8, 16);
        drop((memory.take(8).unwrap(), memory.take(8).unwrap()));
        let large = memory.take(100).unwrap();
        assert_eq!((large.len(), idle(&memory)), (100, vec![]));
        thread::scope(|threads| {
            let other = threads.spawn(|| memory.take(8).unwrap().len());
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(!other.is_finished(), "it had to wait");
            drop(large);
            assert_eq!(other.join().unwrap(), 8);
        });
    }
}
