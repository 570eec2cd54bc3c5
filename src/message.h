/* message.h: lines for people, formatted without malloc or stdio.
 *
 * Owns:      formatting, the cap on warnings, the fatal report.
 * Knows not: what is wrong; callers say it.
 * Threads:   any; a line is one write. Signal-safe.
 */
#ifndef HAK_MESSAGE_H
#define HAK_MESSAGE_H

#include <stdarg.h>

#include "base.h"

/* A line, or a page of statistics, under construction. What does not fit is cut off. */
typedef struct {
    char *text;
    size_t used;
    size_t capacity;
} hak_text_t;

/* Understands %s %c %d %u %zu %lu %x %p %% and a field width on each; %p prints 0x... . */
void hak_text_add(hak_text_t *out, const char *format, ...) HAK_PRINTF(2, 3);
void hak_text_add_va(hak_text_t *out, const char *format, va_list args);

/* One line on stderr, as it stands. */
void hak_message_trace(const char *format, ...) HAK_PRINTF(1, 2);
/* "hakmem: warning: ..."; after 16 of them the rest is not printed. */
void hak_message_warn(const char *format, ...) HAK_PRINTF(1, 2);
/* Called before SIGABRT, whose handler may allocate: lets it, whatever the reporter holds. */
extern void (*hak_message_on_fatal)(void);
/* "hakmem: ...", then SIGABRT. */
HAK_COLD HAK_NORETURN void hak_message_fatal(const char *format, ...) HAK_PRINTF(1, 2);
/* The same, and behind the line what hak_message_on_details() tells of a pointer: further lines,
 * which all start with "hakmem:   ". */
extern void (*hak_message_on_details)(const void *about);
HAK_COLD HAK_NORETURN void hak_message_fatal_about(const void *about, const char *format, ...)
    HAK_PRINTF(2, 3);
/* For what the program did wrong: as above; or, where this is set, the line alone, and it returns.
 */
extern bool hak_message_goes_on;
HAK_COLD void hak_message_misuse(const void *about, const char *format, ...) HAK_PRINTF(2, 3);

#endif
