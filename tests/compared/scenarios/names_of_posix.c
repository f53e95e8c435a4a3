// 7 · semaphores, memory and queues with names, left open (`sem_open`, `shm_open`, `mq_open`)
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
void act(void) {
    char name[64];
    snprintf(name, sizeof name, "/compared-%d", getpid());
    sem_open(name, O_CREAT, 0600, 1);
    sem_unlink(name);
    shm_open(name, O_CREAT | O_RDWR, 0600);
    shm_unlink(name);
    mq_open(name, O_CREAT | O_RDWR, 0600, 0);
    mq_unlink(name);
}
