#include "mail/idn.h"

#include <ctype.h>
#include <dlfcn.h>
#include <idn2.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "mail/utf8.h"

#define LIBRARY "libidn2.so.0"
#define NAME_MAX_OCTETS 1024u /* more than any domain has */

#define FLAGS (IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)

struct library {
	void *handle; /* kept open: the next domain needs it too */
	__typeof__(&idn2_to_ascii_8z) to_ascii;
	__typeof__(&idn2_free) release;
};

static const struct library *
library(void)
{
	static struct library lib;
	static bool tried;

	if (!tried) {
		tried = true;
		lib.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	}
	if (lib.handle != NULL && lib.release == NULL) {
		*(void **)&lib.to_ascii = dlsym(lib.handle, "idn2_to_ascii_8z");
		*(void **)&lib.release = dlsym(lib.handle, "idn2_free");
	}
	return lib.to_ascii != NULL && lib.release != NULL ? &lib : NULL;
}

/* Wide forms of '@' or '>' become these. (IDN2_USE_STD3_ASCII_RULES would not
 * refuse but drop them, and that is another name.) */
static bool
is_name(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isascii((unsigned char)*text) ||
		    (!isalnum((unsigned char)*text) &&
			strchr("-.", *text) == NULL))
			return false;
	return true;
}

static int
add_label(struct buf *out, const char *label, size_t len)
{
	const struct library *lib;
	char *text, *ascii = NULL;
	int result = -1;

	if (!utf8_has_8bit(label, len))
		return buf_add(out, label, len);
	if ((lib = library()) == NULL)
		return -1;
	text = xstrndup(label, len);
	if (lib->to_ascii(text, &ascii, FLAGS) == IDN2_OK) {
		if (is_name(ascii))
			result = buf_adds(out, ascii);
		lib->release(ascii);
	}
	free(text);
	return result;
}

char *
idn_to_ascii(const char *domain)
{
	struct buf out;
	size_t len;

	buf_init(&out, NAME_MAX_OCTETS);
	for (;; domain += len + 1) {
		len = strcspn(domain, ".");
		if (add_label(&out, domain, len) == -1)
			break;
		if (domain[len] == '\0')
			return buf_steal(&out);
		(void)buf_addc(&out, '.');
	}
	buf_release(&out);
	return NULL;
}
