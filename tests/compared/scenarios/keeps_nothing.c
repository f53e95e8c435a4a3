// – · functions of the C library that are said to keep nothing: patterns, sorting, walking folders, tables, texts, time, processes
#define _GNU_SOURCE
#include <argz.h>
#include <fmtmsg.h>
#include <fnmatch.h>
#include <ftw.h>
#include <getopt.h>
#include <glob.h>
#include <grp.h>
#include <ifaddrs.h>
#include <langinfo.h>
#include <libintl.h>
#include <locale.h>
#include <mntent.h>
#include <netdb.h>
#include <nl_types.h>
#include <obstack.h>
#include <regex.h>
#include <search.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>
#define obstack_chunk_alloc malloc
#define obstack_chunk_free free
static int compare(const void *one, const void *other, void *all) { return *(int *)one - *(int *)other; }
static int order(const void *one, const void *other) { return *(int *)one - *(int *)other; }
static int visit(const char *path, const struct stat *status, int kind, struct FTW *place) { return 0; }
static int failed(const char *path, int error) { return 0; }
static void walk(const void *node, VISIT when, int depth) {}
static char *arguments[] = {"keeps", "-a", "value", "rest", 0};
void act(void) {
    regex_t pattern;
    regcomp(&pattern, "a(b*)", REG_EXTENDED);
    regexec(&pattern, "abb", 0, 0, 0);
    regfree(&pattern);
    int numbers[] = {3, 1, 2}, two = 2;
    qsort_r(numbers, 3, sizeof *numbers, compare, numbers);
    bsearch(&two, numbers, 3, sizeof *numbers, order);
    nftw("/dev/null", visit, 3, 0);
    glob_t found;
    glob("/dev/nul*", 0, failed, &found);
    globfree(&found);
    wordexp_t words;
    if (!wordexp("$HOME a b", &words, 0)) wordfree(&words);
    void *root = 0;
    static int keys[] = {5, 6};
    for (int i = 0; i < 2; i++) tsearch(&keys[i], &root, order);
    twalk(root, walk);
    for (int i = 0; i < 2; i++) tdelete(&keys[i], &root, order);
    struct hsearch_data table = {0};
    ENTRY *entry;
    hcreate_r(9, &table);
    hsearch_r((ENTRY){"key", "value"}, ENTER, &entry, &table);
    hdestroy_r(&table);
    char text[] = "a b c", *rest;
    strtok_r(text, " ", &rest);
    static char constant[] = "x y";
    strtok(constant, " ");
    while (strtok(0, " ")) {}
    setlocale(LC_ALL, "C.UTF-8");
    gettext("none");
    bindtextdomain("compared", "/nowhere");
    dgettext("compared", "none");
    nl_catd catalogue = catopen("none", 0);
    if (catalogue != (nl_catd)-1) catclose(catalogue);
    time_t now = time(0);
    struct tm parts;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    localtime(&now);
    strptime("2026-11-30", "%Y-%m-%d", &parts);
    getdate("");
    FILE *pipe = popen("true", "r");
    if (pipe) pclose(pipe);
    system("true");
    pid_t child;
    char *nothing[] = {"true", 0};
    extern char **environ;
    if (!posix_spawnp(&child, "true", 0, 0, nothing, environ)) waitpid(child, 0, 0);
    FILE *file = tmpfile();
    fprintf(file, "line\n");
    rewind(file);
    char *line = 0;
    size_t size = 0;
    getline(&line, &size, file);
    free(line);
    fclose(file);
    char *memory;
    FILE *stream = open_memstream(&memory, &size);
    fputs("text", stream);
    fclose(stream);
    free(memory);
    static char room[64];
    fclose(fmemopen(room, sizeof room, "w"));
    struct addrinfo *addresses;
    if (!getaddrinfo("127.0.0.1", "80", 0, &addresses)) freeaddrinfo(addresses);
    getgrnam("root");
    struct ifaddrs *interfaces;
    if (!getifaddrs(&interfaces)) freeifaddrs(interfaces);
    syslog(LOG_DEBUG, "nothing");
    closelog();
    optind = 0;
    while (getopt(4, arguments, "a:") != -1) {}
    struct obstack stack;
    obstack_init(&stack);
    obstack_alloc(&stack, 9);
    obstack_free(&stack, 0);
    srandom(7);
    random();
    srand48(7);
    drand48();
    sem_t semaphore;
    sem_init(&semaphore, 0, 1);
    sem_wait(&semaphore);
    sem_destroy(&semaphore);
    static char *list;
    size_t length;
    argz_create_sep("a:b", ':', &list, &length);
    free(list);
    mbstate_t state = {0};
    const char *source = "bytes";
    wchar_t wide[9];
    mbsrtowcs(wide, &source, 9, &state);
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    if (mounts) getmntent(mounts), endmntent(mounts);
    strerror(99);
    strsignal(99);
    getsubopt(&(char *){(char[]){"a=b"}}, (char *[]){"a", 0}, &memory);
}
void act_on_caller(void) { act(); }
