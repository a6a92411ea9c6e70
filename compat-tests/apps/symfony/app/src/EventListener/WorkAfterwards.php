<?php

namespace App\EventListener;

use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\EventDispatcher\Attribute\AsEventListener;
use Symfony\Component\HttpKernel\Event\TerminateEvent;

/** Two seconds of work for requests that ask for it, when the visitor has the answer. */
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
            sleep(2);
            file_put_contents("$this->folder/done-$mark", $event->getResponse()->getContent());
        }
    }
}
