#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/encode.h"

static void
encodes(const char *bytes, size_t len, const char *plain, const char *url)
{
	struct buf out;

	buf_init(&out, 10000);
	assert_int_equal(encode_base64(&out, bytes, len), 0);
	assert_string_equal(out.data, plain);
	buf_clear(&out);
	assert_int_equal(encode_base64url(&out, bytes, len), 0);
	assert_string_equal(out.data, url);
	for (int i = 0; i < 2; i++) {
		const char *text = i == 0 ? plain : url;

		buf_clear(&out);
		assert_int_equal(decode_base64(&out, text, strlen(text)), 0);
		assert_int_equal(out.len, len);
		assert_memory_equal(out.data, bytes, len);
	}
	buf_release(&out);
}

/* RFC 4648 section 10. */
static void
vectors_of_the_rfc(void **state)
{
	(void)state;
	encodes("", 0, "", "");
	encodes("f", 1, "Zg==", "Zg");
	encodes("fo", 2, "Zm8=", "Zm8");
	encodes("foo", 3, "Zm9v", "Zm9v");
	encodes("foob", 4, "Zm9vYg==", "Zm9vYg");
	encodes("fooba", 5, "Zm9vYmE=", "Zm9vYmE");
	encodes("foobar", 6, "Zm9vYmFy", "Zm9vYmFy");
	encodes("\xfb\xff\xfe", 3, "+//+", "-__-");
	encodes("\0\0\0\0", 4, "AAAAAA==", "AAAAAA");
}

static void
xoauth2_vectors_of_microsoft(void **state)
{
	static const char first[] =
	    "user=test@contoso.onmicrosoft.com\1auth=Bearer "
	    "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA\1\1";
	static const char first_encoded[] =
	    "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3"
	    "QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ==";
	static const char second[] =
	    "user=someuser@example.com\1auth=Bearer "
	    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1";
	static const char second_encoded[] =
	    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRm"
	    "dDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(encode_base64(&out, first, sizeof(first) - 1), 0);
	assert_string_equal(out.data, first_encoded);
	buf_clear(&out);
	assert_int_equal(encode_base64(&out, second, sizeof(second) - 1), 0);
	assert_string_equal(out.data, second_encoded);
	buf_release(&out);
}

static void
text_is_appended(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	buf_adds(&out, "==");
	assert_int_equal(encode_base64url(&out, "f", 1), 0);
	assert_string_equal(out.data, "==Zg");
	assert_int_equal(decode_base64(&out, "Zm9v", 4), 0);
	assert_string_equal(out.data, "==Zgfoo");
	buf_release(&out);
}

static void
what_is_not_base64_is_refused_and_leaves_nothing(void **state)
{
	static const char *const bad[] = { "A", "AAAAA", "Zg=", "Zg===", "=",
		"==", "===", "====", "Zm=v", "Zm9v=", "=Zm9",
		"Zg==Zg==", "Zm9v\n", "Zm 9v", "Zm9\xc3", "Zm9!", "Zm9v,",
		"*" };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	buf_adds(&out, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode_base64(&out, bad[i], strlen(bad[i])) != -1)
			fail_msg("'%s' was taken", bad[i]);
		assert_string_equal(out.data, "kept");
	}
	assert_int_equal(decode_base64(&out, "Zm9v\0AAA", 8), -1);
	assert_string_equal(out.data, "kept");
	buf_release(&out);
}

static void
maximum_of_the_buffer_holds(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 7);
	assert_int_equal(encode_base64(&out, "four", 4), -1);
	assert_true(out.full);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
	assert_int_equal(decode_base64(&out, "MTIzNDU2Nzg=", 12), -1);
	assert_true(out.full);
	assert_int_equal(out.len, 0);
	assert_int_equal(decode_base64(&out, "MTIzNDU2Nw==", 12), 0);
	assert_string_equal(out.data, "1234567");
	buf_release(&out);
}

static void
every_byte_survives_the_way_there_and_back(void **state)
{
	unsigned char bytes[256];
	struct buf text, back;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 167);
	buf_init(&text, 1000);
	buf_init(&back, 1000);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		buf_clear(&text);
		buf_clear(&back);
		assert_int_equal(encode_base64url(&text, bytes, len), 0);
		assert_int_equal(decode_base64(&back, text.data, text.len), 0);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, bytes, len);
	}
	buf_release(&text);
	buf_release(&back);
}

static void
sha256_of(const char *bytes, size_t len, const char *hex)
{
	char out[ENCODE_SHA256_HEX_SIZE];

	encode_sha256_hex(out, bytes, len);
	assert_string_equal(out, hex);
}

/* FIPS 180-2 appendix B. */
static void
sha256_vectors(void **state)
{
	size_t million = 1000 * 1000;
	char *as = malloc(million);

	(void)state;
	assert_non_null(as);
	memset(as, 'a', million);
	sha256_of("", 0,
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_of("abc", 3,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    56,
	    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	sha256_of(as, million,
	    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(as);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_rfc),
		cmocka_unit_test(xoauth2_vectors_of_microsoft),
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(
		    what_is_not_base64_is_refused_and_leaves_nothing),
		cmocka_unit_test(maximum_of_the_buffer_holds),
		cmocka_unit_test(every_byte_survives_the_way_there_and_back),
		cmocka_unit_test(sha256_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
