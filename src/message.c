/* message.c: see message.h.
 *
 * Threads:   any; no state but a counter of warnings.
 */
#include "message.h"

#include <stdlib.h>

#include "atomic.h"
#include "os.h"

#define STDERR 2
#define LINE_BYTES 256
#define WARNINGS_MAX 16

static void add_char(hak_text_t *out, char c) {
    if (out->used < out->capacity) {
        out->text[out->used++] = c;
    }
}

static void add_padded(hak_text_t *out, const char *text, size_t length, int width) {
    size_t field = width < 0 ? (size_t)-width : (size_t)width;
    size_t pad = field > length ? field - length : 0;
    for (size_t i = 0; width > 0 && i < pad; i++) {
        add_char(out, ' ');
    }
    for (size_t i = 0; i < length; i++) {
        add_char(out, text[i]);
    }
    for (size_t i = 0; width < 0 && i < pad; i++) {
        add_char(out, ' ');
    }
}

static void add_number(hak_text_t *out, uint64_t n, unsigned base, const char *prefix, int width) {
    char digits[32];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    for (size_t i = 0; prefix[i] != '\0'; i++) {
        at--;
    }
    for (size_t i = 0; prefix[i] != '\0'; i++) {
        digits[at + i] = prefix[i];
    }
    add_padded(out, digits + at, sizeof digits - at, width);
}

static size_t length_of(const char *s) {
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}

/* One conversion, *at just behind the per cent sign; moves it behind the conversion. */
static void add_conversion(hak_text_t *out, const char **at, va_list *args) {
    const char *s = *at;
    bool left = *s == '-';
    int width = 0;
    int longs = 0;
    s += left;
    for (; *s >= '0' && *s <= '9'; s++) {
        width = width * 10 + (*s - '0');
    }
    for (; *s == 'l' || *s == 'z'; s++) {
        longs++;
    }
    width = left ? -width : width;
    char kind = *s;
    *at = kind == '\0' ? s : s + 1;
    switch (kind) {
    case 's': {
        const char *text = va_arg(*args, const char *);
        add_padded(out, text, length_of(text), width);
        break;
    }
    case 'd': {
        int64_t n = longs ? va_arg(*args, long) : va_arg(*args, int);
        add_number(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, 10, n < 0 ? "-" : "", width);
        break;
    }
    case 'u':
    case 'x': {
        uint64_t n = longs ? va_arg(*args, unsigned long) : va_arg(*args, unsigned);
        add_number(out, n, kind == 'x' ? 16 : 10, "", width);
        break;
    }
    case 'p':
        add_number(out, (uintptr_t)va_arg(*args, void *), 16, "0x", width);
        break;
    case 'c':
        add_char(out, (char)va_arg(*args, int));
        break;
    default:
        add_char(out, '%');
    }
}

void hak_text_add_va(hak_text_t *out, const char *format, va_list args) {
    va_list copy;
    va_copy(copy, args);
    while (*format != '\0') {
        if (*format != '%') {
            add_char(out, *format++);
            continue;
        }
        format++;
        add_conversion(out, &format, &copy);
    }
    va_end(copy);
}

void hak_text_add(hak_text_t *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hak_text_add_va(out, format, args);
    va_end(args);
}

/* The line ends in a newline even where it was cut. */
static void write_line(const char *prefix, const char *format, va_list args) {
    char line[LINE_BYTES];
    hak_text_t out = {line, 0, sizeof line - 1};
    hak_text_add(&out, "%s", prefix);
    hak_text_add_va(&out, format, args);
    line[out.used++] = '\n';
    hak_os.write(STDERR, line, out.used);
}

void hak_message_trace(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line("", format, args);
    va_end(args);
}

void hak_message_warn(const char *format, ...) {
    static _Atomic unsigned count;
    va_list args;
    if (hak_add_relaxed(&count, 1) >= WARNINGS_MAX) {
        return;
    }
    va_start(args, format);
    write_line("hakmem: warning: ", format, args);
    va_end(args);
}

void (*hak_message_on_fatal)(void);
void (*hak_message_on_details)(const void *about);

static void write_fatal(const char *format, va_list args) {
    hak_os_block_signals(); /* a handler must not run on what is broken; abort() lets SIGABRT in */
    if (hak_message_on_fatal != NULL) {
        hak_message_on_fatal();
    }
    write_line("hakmem: ", format, args);
}

void hak_message_fatal(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_fatal(format, args);
    va_end(args);
    abort();
}

void hak_message_fatal_about(const void *about, const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_fatal(format, args);
    va_end(args);
    if (hak_message_on_details != NULL) {
        hak_message_on_details(about);
    }
    abort();
}

bool hak_message_goes_on;

void hak_message_misuse(const void *about, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (hak_message_goes_on) {
        write_line("hakmem: ", format, args);
        va_end(args);
        return;
    }
    write_fatal(format, args);
    va_end(args);
    if (hak_message_on_details != NULL) {
        hak_message_on_details(about);
    }
    abort();
}

void hak_assert_failed(const char *condition, const char *file, int line) {
    hak_message_fatal("assertion failed: %s (%s:%d)", condition, file, line);
}
