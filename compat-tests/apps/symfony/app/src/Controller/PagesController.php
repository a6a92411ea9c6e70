<?php

namespace App\Controller;

use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\Form\Extension\Core\Type\EmailType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\Routing\Attribute\Route;
use Symfony\Component\Security\Http\Authentication\AuthenticationUtils;
use Symfony\Component\Validator\Constraints\Email;
use Symfony\Component\Validator\Constraints\Length;
use Symfony\Component\WebLink\Link;

class PagesController extends AbstractController
{
    private static int $requests = 0;
    private static string $boot;

    public function __construct(#[Autowire('%kernel.project_dir%/var')] private string $folder)
    {
        self::$boot ??= bin2hex(random_bytes(8));
    }

    #[Route('/', 'home')]
    public function home(): Response
    {
        return $this->render('home.html.twig', ['articles' => array_map(fn ($i) => ['title' => "Article <$i>", 'words' => $i * 97 % 31], range(1, 30))]);
    }

    #[Route('/json')]
    public function data(Request $request): JsonResponse
    {
        return $this->json(['query' => $request->query->all(), 'method' => $request->getMethod(), 'host' => $request->getHost(), 'path' => $request->getPathInfo(),
            'accept' => $request->headers->get('accept'), 'cookies' => array_keys($request->cookies->all()), 'list' => range(1, 20)]);
    }

    /** Which boot of the application answers, and how often it was asked: the only page that must differ in a worker. */
    #[Route('/boot')]
    public function boot(): JsonResponse
    {
        return $this->json(['boot' => self::$boot, 'requests' => ++self::$requests]);
    }

    #[Route('/contact', 'contact')]
    public function contact(Request $request): Response
    {
        $form = $this->createFormBuilder()
            ->add('email', EmailType::class, ['constraints' => [new Email()]])
            ->add('message', TextareaType::class, ['constraints' => [new Length(min: 10)]])
            ->getForm();
        $form->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            $this->addFlash('notice', 'Thank you, ' . $form->getData()['email']);

            return $this->redirectToRoute('contact', status: 303);
        }

        return $this->render('contact.html.twig', ['form' => $form]);
    }

    #[Route('/login', 'login')]
    public function login(AuthenticationUtils $utils): Response
    {
        return $this->render('login.html.twig', ['error' => $utils->getLastAuthenticationError()?->getMessageKey(), 'name' => $utils->getLastUsername()]);
    }

    #[Route('/logout', 'logout')]
    public function logout(): never
    {
        throw new \LogicException('the firewall answers');
    }

    #[Route('/account', 'account')]
    public function account(): Response
    {
        return $this->render('account.html.twig');
    }

    /** Counts in the session of a user who is logged in. */
    #[Route('/account/count')]
    public function count(Request $request): JsonResponse
    {
        $session = $request->getSession();
        $session->set('count', $session->get('count', 0) + 1);

        return $this->json(['user' => $this->getUser()->getUserIdentifier(), 'count' => $session->get('count'), 'asked' => $request->query->get('n')]);
    }

    #[Route('/upload', methods: 'POST')]
    public function upload(Request $request): JsonResponse
    {
        $file = $request->files->get('document');
        $answer = ['name' => $file->getClientOriginalName(), 'size' => $file->getSize(), 'type' => $file->getMimeType(), 'sha1' => sha1_file($file->getPathname()), 'title' => $request->request->get('title')];
        $kept = $file->move("$this->folder/uploads", sha1($answer['name']) . '.bin');
        $answer['kept'] = sha1_file($kept->getPathname());

        return $this->json($answer);
    }

    #[Route('/fails')]
    public function fails(): never
    {
        throw new \RuntimeException('the page that fails');
    }

    #[Route('/stream')]
    public function streamed(): StreamedResponse
    {
        return new StreamedResponse(function () {
            for ($i = 0; $i < 200; ++$i) {
                echo str_repeat("$i ", 100), "\n";
                if (0 === $i % 20) {
                    flush();
                }
            }
        }, headers: ['Content-Type' => 'text/plain', 'X-Accel-Buffering' => 'no']);
    }

    /** Sends one line, and another when the test allows it. */
    #[Route('/stream/{mark<\w+>}')]
    public function slowlyStreamed(string $mark): StreamedResponse
    {
        return new StreamedResponse(function () use ($mark) {
            echo "first\n";
            flush();
            for ($i = 0; $i < 30000 && !file_exists("$this->folder/go-$mark"); ++$i) {
                usleep(10000);
                clearstatcache();
            }
            echo $i < 30000 ? "second\n" : "nobody has read the first line\n";
        }, headers: ['Content-Type' => 'text/plain', 'X-Accel-Buffering' => 'no']);
    }

    #[Route('/release')]
    public function release(): Response
    {
        return new Response(file_get_contents(__DIR__ . '/../../release'));
    }

    #[Route('/hints')]
    public function hints(): Response
    {
        $response = $this->sendEarlyHints([new Link(href: '/style.css')->withAttribute('as', 'style')]);

        return $this->render('home.html.twig', ['articles' => []], $response);
    }

    #[Route('/after/{mark<\w+>}')]
    public function after(string $mark, Request $request): Response
    {
        $request->attributes->set('work_afterwards', $mark);

        return new Response("at once $mark");
    }
}
