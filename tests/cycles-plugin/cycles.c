/* A QEMU plugin that counts instructions, and estimates the cycles that they take on a Cortex-M.
 *
 *   qemu-system-arm ... -plugin cycles.so,core=m4,out=FILE      (core: m4, m3, m0, or none)
 *
 * Counted is what runs between two marks: moves of a register to itself, which compilers do not
 * emit. Each region becomes a line of FILE: its instructions and cycles, then those of its part
 * between the inner marks, then its unaligned accesses, then its bytes of stack.
 *
 *   mark           Thumb            RISC-V
 *   start, stop    mov r9, r9       addi zero, zero, 1
 *                  mov r10, r10     addi zero, zero, 2
 *   inner start    mov r11, r11     addi zero, zero, 3
 *   inner stop     mov r12, r12     addi zero, zero, 4
 *
 * Instruction counts are exact. Cycles are an estimate, for memory without wait states, from the
 * cores' technical reference manuals: Cortex-M4 (r0p1) section 3.3.1, Cortex-M3 (r2p1) section
 * 3.3.1, Cortex-M0 (r0p0) section 3.3. Not modeled: flash wait states, bus contention, and what
 * folds away. A taken branch refills the pipeline; P, 1 to 3 cycles, is taken to be 2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"
#include "thumb.h"

enum mark { MARK_START = 1, MARK_STOP, MARK_INNER_START, MARK_INNER_STOP };

enum core { CORE_NONE, CORE_M0, CORE_M3, CORE_M4 };

enum { SP_BIT = 1 << 13, PIPELINE_REFILL = 2, DIVISION = 7, LONGEST_STACK = 1 << 20 };

struct count {
    uint64_t instructions;
    uint64_t cycles;
};

static enum core core = CORE_M4;
static bool riscv;
static FILE *out;

static bool counting, counting_inner;
static struct count total, inner;
static uint64_t unaligned;
/* The stack: the highest address that a push has written in the region, and the lowest. */
static uint32_t stack_top, stack_bottom;
static const struct instruction *previous;
/* Whether the previous instruction is a load that the next one can overlap. */
static bool previous_overlaps;

static void spend(unsigned cycles) {
    total.cycles += cycles;
    if (counting_inner) inner.cycles += cycles;
}

static unsigned branch_cycles(const struct instruction *branch) {
    if (core != CORE_M0) return PIPELINE_REFILL;
    return branch->kind == KIND_CALL || branch->kind == KIND_LOAD_MANY ? 3 : 2;
}

/* Cycles of a load or store of one register. */
static unsigned access_cycles(const struct instruction *i, bool overlapped) {
    if (core == CORE_M0) return 2;
    if (i->kind == KIND_LOAD) return overlapped ? 1 : 2;
    return i->register_offset && !overlapped ? 2 : 1;
}

static unsigned base_cycles(const struct instruction *i, bool overlapped) {
    switch (i->kind) {
    case KIND_LOAD:
    case KIND_STORE: return access_cycles(i, overlapped);
    case KIND_LOAD_MANY:
    case KIND_STORE_MANY: return 1 + i->registers;
    case KIND_LOAD_TWO:
    case KIND_STORE_TWO:
    case KIND_TABLE_BRANCH: return 3;
    case KIND_DIVIDE: return DIVISION;
    case KIND_ACCUMULATE: return core == CORE_M3 ? 2 : 1;
    case KIND_LONG: return core == CORE_M3 ? 4 : 1;
    default: return 1;
    }
}

static void estimate(const struct instruction *i) {
    bool taken = previous && is_branch(previous) && i->address != previous->address + previous->size;
    if (taken) spend(branch_cycles(previous));

    bool needs_loaded = previous && (previous->written & i->address_base);
    bool overlapped = previous_overlaps && !needs_loaded;
    spend(base_cycles(i, overlapped));

    /* An address that the instruction before has computed comes one cycle late. */
    bool previous_loads = previous && (previous->kind == KIND_LOAD ||
                                       previous->kind == KIND_LOAD_TWO ||
                                       previous->kind == KIND_LOAD_MANY);
    if (core != CORE_M0 && previous && !previous_loads &&
        (previous->written & i->address_base & ~SP_BIT)) {
        spend(1);
    }
    previous = i;
    previous_overlaps = i->kind == KIND_LOAD && !i->loads_pc;
}

static void reached_mark(int mark) {
    switch (mark) {
    case MARK_START:
        counting = true;
        total = inner = (struct count){0, 0};
        unaligned = 0;
        stack_top = 0;
        stack_bottom = UINT32_MAX;
        previous = NULL;
        previous_overlaps = false;
        break;
    case MARK_STOP:
        if (counting) {
            uint32_t stack = stack_top > stack_bottom ? stack_top - stack_bottom : 0;
            fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 "\n",
                    total.instructions, total.cycles, inner.instructions, inner.cycles, unaligned,
                    stack);
            fflush(out);
        }
        counting = false;
        break;
    case MARK_INNER_START: counting_inner = true; break;
    case MARK_INNER_STOP: counting_inner = false; break;
    }
}

static void executed(unsigned vcpu, void *userdata) {
    const struct instruction *i = userdata;
    (void)vcpu;
    if (i->mark) {
        reached_mark(i->mark);
    } else if (counting) {
        total.instructions++;
        if (counting_inner) inner.instructions++;
        if (core != CORE_NONE) estimate(i);
    }
}

static void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    const struct instruction *i = userdata;
    unsigned size = 1u << qemu_plugin_mem_size_shift(info);
    (void)vcpu;
    if (!counting || i->mark) return;

    uint32_t at = (uint32_t)address;
    if (qemu_plugin_mem_is_store(info)) {
        if (stack_top == 0 && i->kind == KIND_STORE_MANY && (i->address_base & SP_BIT)) {
            stack_top = at + 4u * i->registers;
        }
        if (at < stack_top && stack_top - at < LONGEST_STACK && at < stack_bottom) stack_bottom = at;
    }
    if (at & (size - 1)) {
        unaligned++;
        /* Two accesses for halves of a word, three where a byte sticks out. */
        if (i->kind == KIND_LOAD) spend(size == 4 && (at & 1) ? 2 : 1);
    }
}

static int mark_of(const struct instruction *i, const uint16_t *code) {
    if (riscv) {
        uint32_t word = i->size == 4 ? code[0] | (uint32_t)code[1] << 16 : 0;
        bool addi_zero = (word & 0x000fffff) == 0x00000013;
        uint32_t number = word >> 20;
        return addi_zero && number >= MARK_START && number <= MARK_INNER_STOP ? (int)number : 0;
    }
    switch (i->size == 2 ? code[0] : 0) {
    case 0x46c9: return MARK_START;
    case 0x46d2: return MARK_STOP;
    case 0x46db: return MARK_INNER_START;
    case 0x46e4: return MARK_INNER_STOP;
    default: return 0;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(block); n++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, n);
        const uint16_t *code = qemu_plugin_insn_data(insn);
        /* Lives as long as the translated code, which QEMU does not announce the end of. */
        struct instruction *i = calloc(1, sizeof *i);
        if (!i) abort();
        i->address = (uint32_t)qemu_plugin_insn_vaddr(insn);
        i->size = (uint8_t)qemu_plugin_insn_size(insn);
        i->mark = mark_of(i, code);
        if (!riscv) decode_thumb(i, code);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, i);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, i);
    }
}

static bool set_option(const char *option) {
    static const struct {
        const char *name;
        enum core core;
    } cores[] = {{"none", CORE_NONE}, {"m0", CORE_M0}, {"m3", CORE_M3}, {"m4", CORE_M4}};
    if (!strncmp(option, "core=", 5)) {
        for (size_t n = 0; n < sizeof cores / sizeof *cores; n++) {
            if (!strcmp(option + 5, cores[n].name)) {
                core = cores[n].core;
                riscv = core == CORE_NONE;
                return true;
            }
        }
        return false;
    }
    if (!strncmp(option, "out=", 4)) {
        out = fopen(option + 4, "w");
        return out != NULL;
    }
    return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv) {
    (void)info;
    out = stdout;
    for (int n = 0; n < argc; n++) {
        if (!set_option(argv[n])) {
            fprintf(stderr, "cycles: bad option or unwritable file: %s\n", argv[n]);
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
