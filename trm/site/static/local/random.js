// Random numbers from a seed. They are not those of Python: only the first start of a puzzle is the same there.

/** Mix a 32-bit number thoroughly. */
function mixed(value) {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return bits ^ (bits >>> 15);
}

/** A hash of whole numbers, 32 bits. */
export function hash(numbers) {
  let bits = numbers.length;
  for (const number of numbers) bits = mixed(Math.imul(bits, 31) + number);
  return bits >>> 0;
}

/** The generator sfc32, by Chris Doty-Humphrey. */
export class Random {
  #spare = null;

  /** seeds: whole numbers. Equal ones give equal random numbers. */
  constructor(...seeds) {
    const seed = hash(seeds);
    this.state = [seed, mixed(seed + 1), mixed(seed + 2)];
    this.counter = 1;
    for (let i = 0; i < 12; i++) this.bits();
  }

  /** 32 random bits. */
  bits() {
    const [a, b, c] = this.state;
    const sum = (a + b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.state = [b ^ (b >>> 9), (c + (c << 3)) | 0, (((c << 21) | (c >>> 11)) + sum) | 0];
    return sum >>> 0;
  }

  /** Uniform from 0 to 1, without 1. */
  uniform() {
    return this.bits() / 2 ** 32;
  }

  /** From the standard normal distribution: the method of Box and Muller, which gives two at a time. */
  normal() {
    if (this.#spare !== null) {
      const value = this.#spare;
      this.#spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((this.bits() + 1) / 2 ** 32));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** The items in a random order. */
  shuffled(items) {
    const order = [...items];
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(this.uniform() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }
}
