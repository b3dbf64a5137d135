/* SPDX-License-Identifier: ISC */
/*
 * The file with the password: its first line and nothing else, and words for what is wrong with it.
 */
#include "daemon/store/redis/secret.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/store/redis_rig.h"

static char secret[SECRET_BYTES], why[SECRET_WHY_BYTES];
static size_t len;

TestSuite(redis_secret, .init = rig_setup, .fini = rig_teardown);

static void reads(const char *text, const char *want)
{
	cr_assert(secret_read(rig_file(text), secret, &len, why), "%s", why);
	cr_assert(slice_is(slice_make(secret, len), want));
	cr_assert(secret[len] == '\0');
}

static void refuses(struct slice file, const char *want)
{
	cr_assert(!secret_read(file, secret, &len, why));
	cr_assert_str_eq(why, want);
}

Test(redis_secret, the_first_line)
{
	reads("secret", "secret");
	reads("two words \n", "two words ");
	reads("dos\r\nmore\r\n", "dos");
}

Test(redis_secret, the_longest)
{
	char text[SECRET_BYTES + 1];

	memset(text, 'x', sizeof(text));
	text[SECRET_BYTES - 1] = '\0';
	reads(text, text);
	text[SECRET_BYTES - 1] = 'x';
	text[SECRET_BYTES] = '\0';
	refuses(rig_file(text), "its first line is too long for a password");
}

Test(redis_secret, what_is_none)
{
	char fifo[] = "/tmp/reeve-fifo-XXXXXX";

	cr_assert(mkdtemp(fifo));
	rmdir(fifo);
	cr_assert(mkfifo(fifo, 0600) == 0);
	refuses(slice_of(fifo), "is no plain file");
	unlink(fifo);
	refuses(SLICE("/tmp/reeve-no-such-file"), "No such file or directory");
	refuses(rig_file(""), "its first line is empty");
	refuses(rig_file("\nsecret"), "its first line is empty");
	refuses(SLICE("/"), "is no plain file");
}

Test(redis_secret, wiped)
{
	reads("secret", "secret");
	secret_wipe(secret);
	for (size_t i = 0; i < sizeof(secret); i++)
		cr_assert(secret[i] == '\0');
}
