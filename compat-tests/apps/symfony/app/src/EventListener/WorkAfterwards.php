<?php

namespace App\EventListener;

use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\EventDispatcher\Attribute\AsEventListener;
use Symfony\Component\HttpKernel\Event\TerminateEvent;

/** Work for requests that ask for it, when the visitor has the answer; it is done when the test allows it. */
#[AsEventListener]
class WorkAfterwards
{
    public function __construct(#[Autowire('%kernel.project_dir%/var')] private string $folder)
    {
    }

    public function __invoke(TerminateEvent $event): void
    {
        $mark = $event->getRequest()->attributes->get('work_afterwards');
        if (null !== $mark) {
            for ($i = 0; $i < 30000 && !file_exists("$this->folder/go-$mark"); ++$i) {
                usleep(10000);
                clearstatcache();
            }
            file_put_contents("$this->folder/done-$mark", $event->getResponse()->getContent());
        }
    }
}
