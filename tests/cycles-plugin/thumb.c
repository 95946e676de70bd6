/* Decoding as in the Armv7-M Architecture Reference Manual, sections A5.2 (16 bits) and A5.3 (32). */
#include "thumb.h"

enum { SP = 13, PC = 15 };

static uint16_t bit(unsigned index) { return (uint16_t)(1u << index); }

static unsigned count(unsigned bits) { return (unsigned)__builtin_popcount(bits); }

static void load(struct instruction *i, uint16_t written, uint16_t base) {
    i->kind = KIND_LOAD;
    i->written = written;
    i->address_base = base;
}

static void store(struct instruction *i, uint16_t base, bool register_offset) {
    i->kind = KIND_STORE;
    i->address_base = base;
    i->register_offset = register_offset;
}

static void many(struct instruction *i, bool loads, unsigned list, unsigned base) {
    i->kind = loads ? KIND_LOAD_MANY : KIND_STORE_MANY;
    i->registers = (uint8_t)count(list);
    i->address_base = bit(base);
    i->loads_pc = loads && (list & bit(PC));
}

/* Data processing on low registers, and special data instructions. */
static void decode_low_alu(struct instruction *i, unsigned h) {
    unsigned rd = h & 7, wide_rd = ((h >> 4) & 8) | rd;
    if (h < 0x2000) { /* shift, add, subtract */
        i->written = bit(rd);
    } else if (h < 0x4000) { /* immediate of 8 bits; 0x28xx is CMP */
        if ((h & 0xf800) != 0x2800) i->written = bit((h >> 8) & 7);
    } else if (h < 0x4400) { /* two registers; TST, CMP, CMN write none */
        unsigned operation = (h >> 6) & 15;
        if (operation == 13) i->kind = KIND_MULTIPLY;
        if (operation != 8 && operation != 10 && operation != 11) i->written = bit(rd);
    } else if ((h & 0xff00) == 0x4700) { /* BX, BLX */
        i->kind = KIND_BRANCH;
    } else if ((h & 0xff00) != 0x4500) { /* ADD, MOV of high registers; 0x45xx is CMP */
        if (wide_rd == PC) {
            i->kind = KIND_BRANCH;
        } else {
            i->written = bit(wide_rd);
        }
    }
}

static void decode_low_memory(struct instruction *i, unsigned h) {
    uint16_t rt = bit(h & 7), rn = bit((h >> 3) & 7), rm = bit((h >> 6) & 7);
    uint16_t high_rt = bit((h >> 8) & 7);
    if (h < 0x5000) { /* LDR literal */
        load(i, high_rt, 0);
    } else if (h < 0x6000) { /* register offset; the first three are stores */
        if (((h >> 9) & 7) < 3) {
            store(i, rn | rm, true);
        } else {
            load(i, rt, rn | rm);
        }
    } else if (h < 0x9000) { /* immediate offset */
        if (h & 0x800) {
            load(i, rt, rn);
        } else {
            store(i, rn, false);
        }
    } else if (h & 0x800) { /* relative to SP */
        load(i, high_rt, bit(SP));
    } else {
        store(i, bit(SP), false);
    }
}

static void decode_miscellaneous(struct instruction *i, unsigned h) {
    unsigned link_or_pc = (h >> 8) & 1;
    if ((h & 0xff00) == 0xb000) { /* ADD, SUB of SP */
        i->written = bit(SP);
    } else if ((h & 0xf500) == 0xb100) { /* CBZ, CBNZ */
        i->kind = KIND_BRANCH;
    } else if ((h & 0xff00) == 0xb200 || (h & 0xff00) == 0xba00) { /* extend, reverse */
        i->written = bit(h & 7);
    } else if ((h & 0xfe00) == 0xb400) {
        many(i, false, (h & 0xff) | link_or_pc << 14, SP);
    } else if ((h & 0xfe00) == 0xbc00) {
        many(i, true, (h & 0xff) | link_or_pc << PC, SP);
    }
}

static void decode_16(struct instruction *i, unsigned h) {
    if (h < 0x4800) {
        decode_low_alu(i, h);
    } else if (h < 0xa000) {
        decode_low_memory(i, h);
    } else if (h < 0xb000) { /* ADR, ADD to SP */
        i->written = bit((h >> 8) & 7);
    } else if (h < 0xc000) {
        decode_miscellaneous(i, h);
    } else if (h < 0xd000) {
        many(i, h & 0x800, h & 0xff, (h >> 8) & 7);
    } else if (h < 0xde00 || h >= 0xe000) {
        i->kind = KIND_BRANCH;
    }
}

/* LDM, STM, LDRD, STRD, exclusive accesses, table branches, and data processing with a shift. */
static void decode_32_first(struct instruction *i, unsigned a, unsigned b) {
    unsigned operation = (a >> 4) & 0x7f, rn = a & 15, rt = b >> 12, rd = (b >> 8) & 15;
    bool loads = a & 0x10;
    if ((operation & 0x64) == 0) {
        many(i, loads, b, rn);
    } else if ((operation & 0x64) == 4) {
        if ((a & 0xfff0) == 0xe8d0 && (b & 0xffe0) == 0xf000) {
            i->kind = KIND_TABLE_BRANCH;
        } else if (a & 0x0120) {
            i->kind = loads ? KIND_LOAD_TWO : KIND_STORE_TWO;
            i->written = loads ? bit(rt) | bit(rd) : 0;
            i->address_base = bit(rn);
        } else if (loads) {
            load(i, bit(rt), bit(rn));
        } else {
            store(i, bit(rn), false);
        }
    } else if (rd != PC) {
        i->written = bit(rd);
    }
}

/* Data processing with an immediate, and branches. */
static void decode_32_second(struct instruction *i, unsigned a, unsigned b) {
    unsigned rd = (b >> 8) & 15;
    if (!(b & 0x8000)) {
        if (rd != PC) i->written = bit(rd);
    } else if ((b & 0xd000) == 0xd000 || (b & 0xd000) == 0xc000) {
        i->kind = KIND_CALL;
    } else if ((b & 0xd000) == 0x9000 || ((a >> 7) & 7) != 7) {
        i->kind = KIND_BRANCH;
    }
}

/* Single loads and stores, data processing with registers, and multiplication. */
static void decode_32_third(struct instruction *i, unsigned a, unsigned b) {
    unsigned operation = (a >> 4) & 0x7f, rn = a & 15, rt = b >> 12, rd = (b >> 8) & 15;
    bool register_offset = !(a & 0x80) && !(b & 0x0fc0);
    uint16_t base = rn == PC ? 0 : bit(rn) | (register_offset ? bit(b & 15) : 0);
    if ((operation & 0x71) == 0) {
        store(i, base, register_offset);
    } else if ((operation & 0x61) == 1) {
        i->loads_pc = rt == PC && (operation & 7) == 5;
        load(i, rt == PC ? 0 : bit(rt), base);
    } else if ((operation & 0x70) == 0x20) {
        if (rd != PC) i->written = bit(rd);
    } else if ((operation & 0x78) == 0x30) {
        bool plain = (operation & 7) == 0;
        i->kind = !plain ? KIND_DSP : rt == 15 ? KIND_MULTIPLY : KIND_ACCUMULATE;
        i->written = bit(rd);
    } else if ((operation & 0x78) == 0x38) {
        bool divides = (a & 0xffd0) == 0xfb90;
        i->kind = divides ? KIND_DIVIDE : KIND_LONG;
        i->written = divides ? bit(rd) : bit(rd) | bit(rt);
    }
}

void decode_thumb(struct instruction *i, const uint16_t *code) {
    if (i->size == 2) {
        decode_16(i, code[0]);
        return;
    }
    unsigned a = code[0], b = code[1], major = (a >> 11) & 3;
    if (major == 1) {
        decode_32_first(i, a, b);
    } else if (major == 2) {
        decode_32_second(i, a, b);
    } else {
        decode_32_third(i, a, b);
    }
}

bool is_branch(const struct instruction *i) {
    return i->kind == KIND_BRANCH || i->kind == KIND_CALL || i->kind == KIND_TABLE_BRANCH ||
           i->loads_pc;
}
