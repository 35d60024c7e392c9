#include "auth/page.h"

#include "base/buf.h"
#include "base/encode.h"

/* clang-format off */
static const char style[] =
	":root{color-scheme:light dark;--back:#eef1f5;--card:#fff;--text:#1c2430;"
	"--soft:#4b5768;--line:#dde2e9;--good:#137a43;--bad:#b3261e}"
	"@media(prefers-color-scheme:dark){:root{--back:#14171c;--card:#1e232b;"
	"--text:#e6e9ee;--soft:#a9b3c1;--line:#353c47;--good:#4cc38a;"
	"--bad:#ff8a80}}"
	"body{margin:0;min-height:100vh;display:grid;place-items:center;"
	"font:1.0625rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;"
	"background:var(--back);color:var(--text)}"
	"main{box-sizing:border-box;width:min(34rem,calc(100vw - 2rem));"
	"margin:1rem;padding:2.5rem;border-radius:.75rem;background:var(--card);"
	"box-shadow:0 1px 3px #0002,0 8px 32px #0001}"
	"svg{display:block;width:3rem;height:3rem;margin-bottom:1.25rem}"
	".good{color:var(--good)}.bad{color:var(--bad)}"
	"h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}"
	"p{margin:.5rem 0 0;overflow-wrap:anywhere}"
	".hint{margin-top:1rem;padding-top:1rem;"
	"border-top:1px solid var(--line);color:var(--soft)}"
	"footer{margin-top:1.75rem;font-size:.875rem;color:var(--soft)}";

static const char good_mark[] =
	"<svg class=\"good\" viewBox=\"0 0 24 24\" fill=\"none\" "
	"stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" "
	"stroke-linejoin=\"round\" aria-hidden=\"true\">"
	"<circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"m8 12.5 2.7 2.7L16 9.5\"/></svg>";
static const char bad_mark[] =
	"<svg class=\"bad\" viewBox=\"0 0 24 24\" fill=\"none\" "
	"stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" "
	"aria-hidden=\"true\">"
	"<circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"M12 7.5v5.5M12 16.4v.1\"/></svg>";
/* clang-format on */

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 302:
		return "Found";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Bad Request";
	}
}

/* HTML's text: what could begin markup is named instead. */
static void
add_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr("<>&\"'", c) != NULL)
			buf_addf(out, "&#%d;", c);
		else if (c >= ' ' && c != 0x7f)
			buf_addc(out, *text);
		else
			buf_addc(out, ' ');
	}
}

static void
add_body(struct buf *out, const struct page *page)
{
	buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		      "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
		      "content=\"width=device-width, initial-scale=1\">\n"
		      "<link rel=\"icon\" href=\"data:,\">\n<title>");
	add_text(out, page->title);
	buf_addf(
	    out, " - Outpost</title>\n<style>%s</style>\n</head>\n", style);
	buf_addf(
	    out, "<body>\n<main>\n%s\n<h1>", page->good ? good_mark : bad_mark);
	add_text(out, page->title);
	buf_adds(out, "</h1>\n<p>");
	add_text(out, page->text);
	buf_adds(out, "</p>\n");
	if (*page->hint != '\0') {
		buf_adds(out, "<p class=\"hint\">");
		add_text(out, page->hint);
		buf_adds(out, "</p>\n");
	}
	buf_adds(out, "<footer>Outpost, on this computer</footer>\n"
		      "</main>\n</body>\n</html>\n");
}

static void
add_head(struct buf *out, int status, size_t length)
{
	buf_addf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n"
	    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
	    "X-Content-Type-Options: nosniff\r\n",
	    status, reason(status), length);
	if (status == 405)
		buf_adds(out, "Allow: GET\r\n");
}

/* The style is allowed by its hash, the empty icon as data. */
static void
add_policy(struct buf *out)
{
	unsigned char digest[ENCODE_SHA256_SIZE];

	encode_sha256(digest, style, strlen(style));
	buf_adds(out, "Content-Security-Policy: default-src 'none'; "
		      "img-src data:; style-src 'sha256-");
	(void)encode_base64(out, digest, sizeof(digest));
	buf_adds(out, "'; base-uri 'none'; form-action 'none'; "
		      "frame-ancestors 'none'\r\n");
}

void
page_answer(struct buf *out, const struct page *page)
{
	struct buf body;

	buf_init(&body, PAGE_MAX);
	add_body(&body, page);
	add_head(out, page->status, body.len);
	add_policy(out);
	buf_adds(out, "\r\n");
	buf_add(out, body.data, body.len);
	buf_release(&body);
}

void
page_forward(struct buf *out, const char *url)
{
	add_head(out, 302, 0);
	buf_addf(out, "Location: %s\r\n\r\n", url);
}
