// Structured log lines on standard error, one per call, text or JSON. Thread-safe (one write() a
// line).
//
// Only the top of the program logs errors; sim/ logs one line per state change from its funnel.
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

// Process-wide settings, set once by main before threads start.
void log_setup(enum log_format format, enum log_level level);
int log_enabled(enum log_level level);

// log_line(LOG_INFO, "listening", "address", url, NULL): pairs of key and string value, NULL ends
// them. JSON: {"time":"…","level":"info","msg":"listening","address":"…"}. A NULL value is not
// possible.
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));

#endif
