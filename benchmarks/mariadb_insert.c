/* One connection that inserts rows by a prepared statement, as fast as it is let.
 *
 *   mariadb_insert HOST PORT USER TABLE FIRST PAYLOAD_BYTES SECONDS
 *
 * The password is in MARIADB_PASSWORD. Keys are numbers of twelve digits from
 * FIRST on, each committed on its own. Prints the rows and the seconds they took.
 */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        fail("usage", "HOST PORT USER TABLE FIRST PAYLOAD_BYTES SECONDS");
    unsigned long serial = strtoul(argv[5], NULL, 10), rows = 0;
    unsigned long key_bytes = 12, payload_bytes = strtoul(argv[6], NULL, 10);
    double seconds = atof(argv[7]);
    MYSQL *connection = mysql_init(NULL);
    if (!mysql_real_connect(connection, argv[1], argv[3], getenv("MARIADB_PASSWORD"), NULL,
                            (unsigned)atoi(argv[2]), NULL, 0))
        fail("connect", mysql_error(connection));
    char text[512], key[16], *payload = malloc(payload_bytes);
    for (unsigned long i = 0; i < payload_bytes; i++)
        payload[i] = (char)rand();
    snprintf(text, sizeof text, "INSERT INTO %s VALUES (?, ?)", argv[4]);
    MYSQL_STMT *statement = mysql_stmt_init(connection);
    if (mysql_stmt_prepare(statement, text, strlen(text)))
        fail("prepare", mysql_stmt_error(statement));
    MYSQL_BIND binds[2];
    memset(binds, 0, sizeof binds);
    binds[0].buffer_type = binds[1].buffer_type = MYSQL_TYPE_BLOB;
    binds[0].buffer = key;
    binds[0].length = &key_bytes;
    binds[1].buffer = payload;
    binds[1].length = &payload_bytes;
    if (mysql_stmt_bind_param(statement, binds))
        fail("bind", mysql_stmt_error(statement));
    double begin = now();
    while (now() - begin < seconds) {
        snprintf(key, sizeof key, "%012lu", serial++);
        if (mysql_stmt_execute(statement))
            fail("execute", mysql_stmt_error(statement));
        rows++;
    }
    printf("%lu %.9f\n", rows, now() - begin);
    mysql_stmt_close(statement);
    mysql_close(connection);
    return 0;
}
