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

/* Control characters become blanks; bytes over 127 stay, they may be UTF-8. */
static void
replace_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

/* A cut in the middle of a UTF-8 character is moved before it. */
static void
format_clean(char *out, size_t size, const char *format, va_list ap)
{
	int len = vsnprintf(out, size, format, ap);

	if (len >= (int)size) {
		size_t end = size - 1;

		while (end > 0 && ((unsigned char)out[end - 1] & 0xc0) == 0x80)
			end--;
		if (end > 0 && ((unsigned char)out[end - 1] & 0x80) != 0)
			end--;
		out[end] = '\0';
	}
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
	char text[ERROR_TEXT_SIZE];
	va_list ap;

	if (err == NULL)
		return -1;
	/* Formatted first: the old sentence may be an argument. */
	va_start(ap, format);
	format_clean(text, sizeof(text), format, ap);
	va_end(ap);
	error_clear(err);
	err->exit_code = exit_code;
	err->class = status[0] == '4' ? ERROR_RETRY : ERROR_REFUSED;
	strlcpy(err->status, status, sizeof(err->status));
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
	strlcpy(err->text, prefix, sizeof(err->text));
	strlcat(err->text, ": ", sizeof(err->text));
	strlcat(err->text, text, sizeof(err->text));
	return -1;
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
