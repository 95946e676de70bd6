/* Thumb instructions as far as their cost depends on them. */
#ifndef THUMB_H
#define THUMB_H

#include <stdbool.h>
#include <stdint.h>

enum kind {
    KIND_ALU,         /* one cycle everywhere */
    KIND_MULTIPLY,    /* MUL */
    KIND_ACCUMULATE,  /* MLA, MLS */
    KIND_DSP,         /* SMLAD and its like */
    KIND_LONG,        /* SMULL and its like */
    KIND_DIVIDE,
    KIND_LOAD,        /* LDR of any width */
    KIND_STORE,       /* STR of any width */
    KIND_LOAD_MANY,   /* LDM, POP */
    KIND_STORE_MANY,  /* STM, PUSH */
    KIND_LOAD_TWO,    /* LDRD */
    KIND_STORE_TWO,   /* STRD */
    KIND_BRANCH,
    KIND_CALL,        /* BL */
    KIND_TABLE_BRANCH, /* TBB, TBH */
};

struct instruction {
    uint32_t address;
    uint8_t size;
    uint8_t kind;
    uint8_t registers;      /* of LDM and STM */
    bool register_offset;   /* of STR */
    bool loads_pc;
    uint16_t written;       /* a bit for each register */
    uint16_t address_base;  /* registers that an address is computed from */
    int mark;               /* number of a mark, or 0 */
};

/* Decodes the instruction of one or two halfwords at `code`, whose address and size are set. */
void decode_thumb(struct instruction *instruction, const uint16_t *code);

bool is_branch(const struct instruction *instruction);

#endif
