// Unpacks LZMA, which makes the runtime two fifths smaller than gzip does and which no browser unpacks by itself.

const [MODEL_BITS, MOVE] = [11, 5]; // of a probability, and how fast it adapts
const EVEN = 1 << (MODEL_BITS - 1); // the probability of a bit before anything is known
const STATES = 12; // kinds of what came last: literals, matches, repeats
const LITERAL_STATES = 7; // of these, with a literal last
const [ALIGN_BITS, FULL_DISTANCES] = [4, 128];
const HEADER = 13; // bytes: properties, size of the window, size of the content

const probabilities = (count) => new Uint16Array(count).fill(EVEN);

/** The bits of a range coder. */
class Bits {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at + 1; // the first byte is always 0
    this.range = 0xffffffff;
    this.code = 0;
    for (let i = 0; i < 4; i++) this.code = ((this.code << 8) | bytes[this.at++]) >>> 0;
  }

  /** A bit whose probability is odds[index], which adapts. */
  bit(odds, index) {
    const likely = odds[index];
    const bound = (this.range >>> MODEL_BITS) * likely;
    let bit = 0;
    if (this.code < bound) {
      this.range = bound;
      odds[index] = likely + (((1 << MODEL_BITS) - likely) >>> MOVE);
    } else {
      this.range -= bound;
      this.code -= bound;
      odds[index] = likely - (likely >>> MOVE);
      bit = 1;
    }
    if (this.range < 0x1000000) this.#shift();
    return bit;
  }

  /** A number of `count` bits of even probability. */
  plain(count) {
    let value = 0;
    for (; count > 0; count--) {
      this.range >>>= 1;
      const bit = this.code >= this.range ? 1 : 0;
      if (bit) this.code -= this.range;
      if (this.range < 0x1000000) this.#shift();
      value = value * 2 + bit;
    }
    return value;
  }

  /** A number of `count` bits, the highest first; odds from `from` on. */
  tree(odds, from, count) {
    let node = 1;
    for (let i = 0; i < count; i++) node = (node << 1) | this.bit(odds, from + node);
    return node - (1 << count);
  }

  /** The same with the lowest bit first. */
  reversed(odds, from, count) {
    let [node, value] = [1, 0];
    for (let i = 0; i < count; i++) {
      const bit = this.bit(odds, from + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #shift() {
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | this.bytes[this.at++]) >>> 0;
  }
}

/** The lengths of matches, 2 to 273. */
class Lengths {
  constructor(positions) {
    this.choice = probabilities(2);
    this.low = probabilities(positions << 3);
    this.middle = probabilities(positions << 3);
    this.high = probabilities(256);
  }

  next(bits, position) {
    if (!bits.bit(this.choice, 0)) return 2 + bits.tree(this.low, position << 3, 3);
    if (!bits.bit(this.choice, 1)) return 10 + bits.tree(this.middle, position << 3, 3);
    return 18 + bits.tree(this.high, 0, 8);
  }
}

class Unpacking {
  constructor(bytes, size) {
    let properties = bytes[0];
    this.context = properties % 9; // bits of the byte before that a literal depends on
    properties = Math.floor(properties / 9);
    const places = properties % 5; // bits of the position that a literal depends on
    const positions = 1 << Math.floor(properties / 5); // the same of a match
    this.place = (1 << places) - 1;
    this.position = positions - 1;
    this.positions = positions;
    this.bits = new Bits(bytes, HEADER);
    this.out = new Uint8Array(size);
    this.end = 0;
    this.state = 0;
    this.distances = [0, 0, 0, 0]; // the latest first, each less one
    this.literals = probabilities(0x300 << (this.context + places));
    this.matches = probabilities(STATES * positions);
    this.repeats = probabilities(STATES);
    this.first = probabilities(STATES); // whether a repeat is not of the latest distance, and so on
    this.single = probabilities(STATES * positions);
    this.second = probabilities(STATES);
    this.third = probabilities(STATES);
    this.slots = probabilities(4 << 6);
    this.near = probabilities(1 + FULL_DISTANCES);
    this.align = probabilities(1 << ALIGN_BITS);
    this.lengths = new Lengths(positions);
    this.repeated = new Lengths(positions);
  }

  run() {
    const { bits, out } = this;
    while (this.end < out.length) {
      const position = this.end & this.position;
      if (!bits.bit(this.matches, this.state * this.positions + position)) this.#literal();
      else if (!bits.bit(this.repeats, this.state)) {
        const length = this.lengths.next(bits, position);
        this.distances.unshift(this.#distance(length));
        this.distances.pop();
        this.state = this.state < LITERAL_STATES ? 7 : 10;
        this.#copy(length);
      } else this.#repeat(position);
    }
    return out;
  }

  #literal() {
    const { bits, out } = this;
    const before = this.end ? out[this.end - 1] : 0;
    const from = 0x300 * (((this.end & this.place) << this.context) + (before >> (8 - this.context)));
    let sign = 1;
    if (this.state >= LITERAL_STATES) {
      let match = out[this.end - this.distances[0] - 1];
      while (sign < 0x100) {
        const wanted = (match >> 7) & 1;
        match <<= 1;
        const bit = bits.bit(this.literals, from + ((1 + wanted) << 8) + sign);
        sign = (sign << 1) | bit;
        if (bit !== wanted) break;
      }
    }
    while (sign < 0x100) sign = (sign << 1) | bits.bit(this.literals, from + sign);
    out[this.end++] = sign; // cut to a byte
    this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6;
  }

  #repeat(position) {
    const { bits, distances, state } = this;
    if (!bits.bit(this.first, state)) {
      if (!bits.bit(this.single, state * this.positions + position)) {
        this.state = state < LITERAL_STATES ? 9 : 11;
        return this.#copy(1);
      }
    } else {
      const which = !bits.bit(this.second, state) ? 1 : !bits.bit(this.third, state) ? 2 : 3;
      distances.unshift(...distances.splice(which, 1));
    }
    this.state = state < LITERAL_STATES ? 8 : 11;
    this.#copy(this.repeated.next(bits, position));
  }

  #distance(length) {
    const { bits } = this;
    const slot = bits.tree(this.slots, Math.min(length - 2, 3) << 6, 6);
    if (slot < 4) return slot;
    const count = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** count;
    if (slot < 14) return base + bits.reversed(this.near, base - slot, count);
    return base + bits.plain(count - ALIGN_BITS) * 16 + bits.reversed(this.align, 0, ALIGN_BITS);
  }

  #copy(length) {
    const { out } = this;
    let from = this.end - this.distances[0] - 1;
    if (from < 0) throw new Error("damaged: it refers to what comes before its beginning");
    for (const end = Math.min(this.end + length, out.length); this.end < end; ) out[this.end++] = out[from++];
  }
}

/** The `size` bytes that were packed into `bytes`, in the format "LZMA alone". */
export function unpack(bytes, size) {
  return new Unpacking(bytes, size).run();
}
