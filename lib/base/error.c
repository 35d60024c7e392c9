#include "base/error.h"

#include <stdarg.h>

static const char *const class_names[] = {
	[ERROR_NONE] = "sent",
	[ERROR_RETRY] = "retry",
	[ERROR_THROTTLED] = "throttled",
	[ERROR_HOLD] = "hold",
	[ERROR_REFUSED] = "refused",
};
#define CLASSES (sizeof(class_names) / sizeof(class_names[0]))

/* Control characters become blanks, those of UTF-8 (U+0080 to U+009F) too;
 * other bytes over 127 stay. */
static void
replace_controls(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = ' ';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = ' ';
}

/* Take off the UTF-8 character that a cut left without its end. */
static void
drop_half_character(char *text)
{
	size_t len = strlen(text);

	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)text[len - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if (c >= 0xc0 && back < (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u))
			text[len - back] = '\0';
		return;
	}
}

static void format_clean(char *out, size_t size, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
format_clean(char *out, size_t size, const char *format, va_list ap)
{
	if (vsnprintf(out, size, format, ap) >= (int)size)
		drop_half_character(out);
	replace_controls(out);
}

void
error_clear(struct error *err)
{
	*err = (struct error){ .class = ERROR_NONE };
}

int
error_set(struct error *err, int exit_code, const char *status,
    const char *format, ...)
{
	char text[ERROR_TEXT_SIZE], code[ERROR_STATUS_SIZE];
	va_list ap;

	if (err == NULL)
		return -1;
	/* Formatted first: what stands in 'err' may be an argument. */
	va_start(ap, format);
	format_clean(text, sizeof(text), format, ap);
	va_end(ap);
	strlcpy(code, status, sizeof(code));
	error_clear(err);
	err->exit_code = exit_code;
	err->class = code[0] == '4' ? ERROR_RETRY : ERROR_REFUSED;
	strlcpy(err->status, code, sizeof(err->status));
	strlcpy(err->text, text, sizeof(err->text));
	return -1;
}

int
error_hint(struct error *err, const char *format, ...)
{
	char hint[ERROR_HINT_SIZE];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	format_clean(hint, sizeof(hint), format, ap);
	va_end(ap);
	strlcpy(err->hint, hint, sizeof(err->hint));
	return -1;
}

int
error_class_set(struct error *err, enum error_class class, unsigned retry_after)
{
	if (err != NULL) {
		err->class = class;
		err->retry_after = retry_after;
	}
	return -1;
}

int
error_prefix(struct error *err, const char *format, ...)
{
	char prefix[ERROR_TEXT_SIZE], text[ERROR_TEXT_SIZE];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	format_clean(prefix, sizeof(prefix), format, ap);
	va_end(ap);
	strlcpy(text, err->text, sizeof(text));
	if (snprintf(err->text, sizeof(err->text), "%s: %s", prefix, text) >=
	    (int)sizeof(err->text))
		drop_half_character(err->text);
	return -1;
}

char *
error_fill(char *out, size_t size, const char *text, const char *name)
{
	const char *mark;

	out[0] = '\0';
	while ((mark = strstr(text, "%s")) != NULL) {
		size_t len = strlen(out) + (size_t)(mark - text);

		strlcat(out, text, len < size ? len + 1 : size);
		strlcat(out, name, size);
		text = mark + 2;
	}
	strlcat(out, text, size);
	return out;
}

const char *error_class_name(enum error_class class)
{
	return (size_t) class < CLASSES ? class_names[class] : "unknown";
}

int
error_class_parse(const char *name, enum error_class *class)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (strcmp(name, class_names[i]) == 0) {
			*class = (enum error_class)i;
			return 0;
		}
	return -1;
}
