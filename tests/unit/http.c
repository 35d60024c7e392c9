#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/http.h"
#include "base/error.h"
#include "base/file.h"

typedef int lookup(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

static sem_t answered; /* a name service that hangs is let go */

/* The C library's, but for names that never get an answer. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **out)
{
	lookup *real;

	if (name != NULL && strcmp(name, "hangs.example") == 0) {
		(void)sem_wait(&answered);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, out);
}

static void
form_is_encoded(void **state)
{
	struct http_form form;

	(void)state;
	http_form_init(&form);
	http_form_add(&form, "scope", "https://x/.default a_b-c~d");
	http_form_add(&form, "client_secret", "a&b=c+d%\xc3\xa4\n");
	assert_string_equal(form.body.data,
	    "scope=https%3A%2F%2Fx%2F.default%20a_b-c~d"
	    "&client_secret=a%26b%3Dc%2Bd%25%C3%A4%0A");
	http_form_release(&form);
}

static void
host_is_cut_from_a_url(void **state)
{
	char host[HTTP_HOST_SIZE];
	char longer[400] = "https://";

	(void)state;
	assert_string_equal(
	    http_host(host, "https://login.example/t/oauth2?x=y"),
	    "login.example");
	assert_string_equal(http_host(host, "https://h:8443"), "h:8443");
	assert_string_equal(http_host(host, "https://h?secret"), "h");
	assert_string_equal(http_host(host, ""), "");
	memset(longer + 8, 'a', 391);
	assert_int_equal(strlen(http_host(host, longer)), HTTP_HOST_SIZE - 1);
}

static int
post(const char *url, const struct http_form *form, double seconds,
    struct error *err)
{
	const struct account account = { .ca_dir = (char[]){ "/tmp" } };
	struct http *http = http_new(&account);
	struct http_response response;
	int result;

	http_response_init(&response);
	result =
	    http_post(http, url, form, file_now() + seconds, &response, err);
	http_response_release(&response);
	http_free(http);
	return result;
}

static void
plain_http_is_refused(void **state)
{
	struct http_form form;
	struct error err;

	(void)state;
	http_form_init(&form);
	assert_int_equal(
	    -1, post("http://127.0.0.1:1/?secret", &form, 5, &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_equal(err.class, ERROR_HOLD);
	assert_null(strstr(err.text, "?secret"));
	http_form_release(&form);
}

static int
get(const char *url, const char *value, struct error *err)
{
	const struct account account = {
		.proxy = (char[]){ "http://127.0.0.1:1" },
	};
	const struct http_header header = { "Metadata", value };
	struct http *http = http_new(&account);
	struct http_response response;
	int result;

	http_response_init(&response);
	result = http_get_local(
	    http, url, &header, 1, file_now() + 5, &response, err);
	assert_false(response.connected);
	http_response_release(&response);
	http_free(http);
	return result;
}

static void
plain_http_never_leaves_this_machine(void **state)
{
	static const char *const urls[] = { "http://192.0.2.1/t",
		"http://example.com/t", "https://localhost/t",
		"HTTP://localhost/t", "ftp://127.0.0.1/t", "http://",
		"http://localhost.example/t", "http://127.0.0.1.example/t",
		"http://127.0.0.1@192.0.2.1/t", "http://x@127.0.0.1/t",
		"http://127.0.0.1:1@192.0.2.1/t", "http://127.0.0.1:/t",
		"http://127.1/t", "http://0x7f000001/t",
		"http://127.0.0.1\\@192.0.2.1/t", "http://169.253.0.1/t",
		"http://170.254.0.1/t", "http://[::2]/t",
		"http://[::ffff:192.0.2.1]/t", "http://0.0.0.0/t",
		"http://local host/t" };
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		assert_int_equal(-1, get(urls[i], "true", &err));
		if (strstr(err.text, "not http:// of this machine") == NULL)
			fail_msg("%s: %s", urls[i], err.text);
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_int_equal(err.class, ERROR_HOLD);
	}
}

static void
endpoint_of_this_machine_is_asked(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1/t",
		"http://localhost:1?x", "http://127.255.255.254:1",
		"http://[::1]:1/t" };
	struct error err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(-1, get(urls[i], "true", &err));
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
		assert_int_equal(err.class, ERROR_RETRY);
	}
}

static void
header_cannot_bring_another(void **state)
{
	static const char *const values[] = { "a\r\nb: c", "a\nb", "\x7f",
		"\xc3\xa4" };
	struct error err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(
		    -1, get("http://127.0.0.1:1/t", values[i], &err));
		assert_int_equal(err.class, ERROR_HOLD);
		assert_null(strstr(err.text, values[i]));
	}
}

static void
closed_port_is_temporary(void **state)
{
	struct http_form form;
	struct error err;

	(void)state;
	http_form_init(&form);
	assert_int_equal(-1, post("https://127.0.0.1:1/token", &form, 5, &err));
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_non_null(strstr(err.text, "127.0.0.1:1"));
	http_form_release(&form);
}

static void
form_over_its_cap_is_not_sent(void **state)
{
	struct http_form form;
	struct error err;
	char *value = calloc(1, HTTP_FORM_MAX + 1);

	(void)state;
	memset(value, 'x', HTTP_FORM_MAX);
	http_form_init(&form);
	http_form_add(&form, "a", value);
	assert_int_equal(-1, post("https://127.0.0.1:1/token", &form, 5, &err));
	assert_int_equal(err.exit_code, EX_SOFTWARE);
	http_form_release(&form);
	free(value);
}

static void
passed_deadline_ends_at_once(void **state)
{
	struct http_form form;
	struct error err;
	double start = file_now();

	(void)state;
	http_form_init(&form);
	assert_int_equal(-1, post("https://192.0.2.1/token", &form, -5, &err));
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_true(file_now() - start < 2);
	http_form_release(&form);
}

static void
a_name_service_that_hangs_does_not_outlast_the_deadline(void **state)
{
	struct http_form form;
	struct error err;

	(void)state;
	assert_int_equal(sem_init(&answered, 0, 0), 0);
	http_form_init(&form);
	(void)alarm(30);
	assert_int_equal(
	    -1, post("https://hangs.example/token", &form, 1, &err));
	(void)alarm(0);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_non_null(strstr(err.text, "hangs.example"));
	http_form_release(&form);
	assert_int_equal(sem_post(&answered), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form_is_encoded),
		cmocka_unit_test(host_is_cut_from_a_url),
		cmocka_unit_test(plain_http_is_refused),
		cmocka_unit_test(plain_http_never_leaves_this_machine),
		cmocka_unit_test(endpoint_of_this_machine_is_asked),
		cmocka_unit_test(header_cannot_bring_another),
		cmocka_unit_test(closed_port_is_temporary),
		cmocka_unit_test(form_over_its_cap_is_not_sent),
		cmocka_unit_test(passed_deadline_ends_at_once),
		cmocka_unit_test(
		    a_name_service_that_hangs_does_not_outlast_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
