"""Many users at the same time, each with an own login and session; every answer must belong to the one who asked."""

import threading
import time


class Users:
    """`log_in(browser, name)` logs a user in, `ask(browser, name, number, count)` sends one request and returns what is
    wrong with its answer, or nothing; `count` is how many the session has seen."""

    def __init__(self, front, number, log_in, ask, keep=True):
        self.front, self.number, self.log_in, self.ask, self.keep = front, number, log_in, ask, keep
        self.problems = []
        self.answers = 0
        self.lock = threading.Lock()

    def one(self, index, requests, start):
        name = f'user{index}'
        browser = self.front.browser(keep=self.keep)
        try:
            self.log_in(browser, name)
            start.wait(120)
            for number in range(1, requests + 1):
                problem = self.ask(browser, name, f'{index}-{number}', number)
                with self.lock:
                    self.answers += 1
                    if problem:
                        self.problems.append(f'{name}, request {number}: {problem}')
                        if len(self.problems) > 20:
                            return
        except Exception as error:
            with self.lock:
                self.problems.append(f'{name}: {error!r}')
            start.abort()
        finally:
            browser.close()

    def run(self, requests):
        """`requests` in all; returns seconds."""
        start = threading.Barrier(self.number)
        threads = [threading.Thread(target=self.one, args=(i, requests // self.number, start)) for i in range(self.number)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began
