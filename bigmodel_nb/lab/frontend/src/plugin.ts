// The plugin: does nothing where the server shows no workspace of the course.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Token } from '@lumino/coreutils';

import { Course } from './course.js';
import type { ILesson } from './course.js';
import { Exercises } from './exercises.js';
import { modules, optional } from './lab.js';
import type { ILab, IModules, IServices, Shared } from './lab.js';
import { Lessons, numbered } from './lessons.js';
import { createPanel } from './panel.js';
import { createStatus } from './status.js';

const DOMAIN = 'bigmodel_nb';
const BOOK =
  '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3 jp-icon-selectable" fill="#616161" ' +
  'd="M4 4c3-1 6-.5 8 1 2-1.5 5-2 8-1v14c-3-1-6-.5-8 1-2-1.5-5-2-8-1zm2 1.5v10.7c1.8-.3 3.5-.1 5 .6V6.700c-1.5-.9-3.200-1.300-5-1.200z"/></svg>';

export async function createPlugin(shared: Shared): Promise<JupyterFrontEndPlugin<void>> {
  const found = await modules(shared);
  const launcher = await optional<typeof import('@jupyterlab/launcher')>(shared, '@jupyterlab/launcher');
  const statusBar = await optional<typeof import('@jupyterlab/statusbar')>(shared, '@jupyterlab/statusbar');
  const tokens: Record<keyof IServices, Token<unknown> | null> = {
    tracker: found.notebook.INotebookTracker,
    palette: found.apputils.ICommandPalette,
    translator: found.translation.ITranslator,
    launcher: launcher?.ILauncher ?? null,
    statusBar: statusBar?.IStatusBar ?? null
  };
  const there = Object.entries(tokens).filter(([, token]) => token) as [keyof IServices, Token<unknown>][];
  return {
    id: 'bigmodel-nb:plugin',
    description: 'The course: lessons, progress, exercises, machine.',
    autoStart: true,
    optional: there.map(([, token]) => token),
    activate: (app: JupyterFrontEnd, ...given: unknown[]) => {
      const provided = Object.fromEntries(Object.keys(tokens).map(name => [name, null])) as unknown as IServices;
      Object.assign(provided, Object.fromEntries(there.map(([name], i) => [name, given[i]])));
      void start(app, found, provided);
    }
  };
}

async function start(app: JupyterFrontEnd, found: IModules, provided: IServices): Promise<void> {
  const trans = (provided.translator ?? found.translation.nullTranslator).load(DOMAIN);
  const lab: ILab = { ...found, ...provided, app, trans };
  const course = new Course(lab);
  try {
    await course.refresh();
  } catch {
    return; // the server part is switched off
  }
  if (course.overview.workspace === null) {
    return;
  }
  document.body.dataset.bigmodelNb = 'course'; // the shortcuts hold in a course session only
  addStyle();
  build(lab, course);
}

function build(lab: ILab, course: Course): void {
  const { app, trans } = lab;
  const icon = new lab.ui.LabIcon({ name: 'bigmodel-nb:course', svgstr: BOOK });
  const lessons = new Lessons(lab, course);
  const exercises = new Exercises(lab, course);
  const refresh = () => void course.refresh().catch(() => undefined);

  const goTo = async (lesson: ILesson, id: string) => {
    const panel = await lessons.open(lesson);
    await panel?.context.ready;
    if (panel && !panel.isDisposed) { // Notebook 7 opens a page of its own instead
      await exercises.goTo(panel, id);
    }
  };

  const nextExercise = async () => {
    const panel = lab.tracker?.currentWidget;
    if (panel && !(await exercises.goToNext(panel))) {
      lab.apputils.Notification.info(trans.__('All exercises of this notebook are passed.'), { autoClose: 3000 });
    }
  };

  const panel = createPanel(lab, course, lessons, goTo);
  panel.title.icon = icon;
  app.shell.add(panel, 'left', { rank: 150 });

  const show = () => {
    app.shell.activateById(panel.id);
    panel.node.querySelector('input')?.focus();
  };
  const isLesson = () => !!lessons.current();
  const hasBeside = (steps: number) => () => {
    const here = lessons.current();
    return !!here && !!course.beside(here, steps);
  };
  const commands: [string, string, () => unknown, (() => boolean)?][] = [
    ['show', trans.__('Show the course'), show],
    ['continue', trans.__('Continue the course'), () => lessons.continue()],
    ['next-lesson', trans.__('Next lesson'), () => lessons.openBeside(1), hasBeside(1)],
    ['previous-lesson', trans.__('Previous lesson'), () => lessons.openBeside(-1), hasBeside(-1)],
    ['next-exercise', trans.__('Go to the next open exercise'), nextExercise, isLesson]
  ];
  for (const [name, label, execute, isEnabled] of commands) {
    const command = `bigmodel-nb:${name}`;
    app.commands.addCommand(command, { label, caption: label, icon, execute, isEnabled: isEnabled ?? (() => true) });
    lab.palette?.addItem({ command, category: trans.__('Course') });
  }
  lab.launcher?.add({ command: 'bigmodel-nb:continue', category: trans.__('Course'), rank: 0 });
  lab.statusBar?.registerStatusItem('bigmodel-nb:machine', { item: createStatus(lab, course), align: 'right', rank: 100, priority: 1 });

  const join = async (notebook: NotebookPanel) => {
    await notebook.context.ready;
    const lesson = course.at(notebook.context.localPath);
    if (!lesson || notebook.isDisposed) {
      return;
    }
    addToToolbar(lab, course, lessons, notebook, lesson);
    exercises.watch(notebook);
    notebook.context.saveState.connect((_, state) => state.startsWith('completed') && refresh());
  };
  lab.tracker?.forEach(notebook => void join(notebook));
  lab.tracker?.widgetAdded.connect((_, notebook) => void join(notebook));
  lab.tracker?.currentChanged.connect(() => commands.forEach(([name]) => app.commands.notifyCommandChanged(`bigmodel-nb:${name}`)));
  lab.notebook.NotebookActions.executed.connect((_, { notebook }) => {
    const owner = lab.tracker?.find(it => it.content === notebook);
    if (owner && course.at(owner.context.localPath)) {
      refresh();
    }
  });
  window.addEventListener('focus', refresh);
}

/** Buttons for the lessons before and after this one. */
function addToToolbar(lab: ILab, course: Course, lessons: Lessons, notebook: NotebookPanel, lesson: ILesson): void {
  const { trans, ui } = lab;
  const sides = [
    { name: 'bigmodel-nb-previous', steps: -1, icon: ui.caretLeftIcon, label: (it: ILesson) => trans.__('Previous lesson: %1', numbered(it)) },
    { name: 'bigmodel-nb-next', steps: 1, icon: ui.caretRightIcon, label: (it: ILesson) => trans.__('Next lesson: %1', numbered(it)) }
  ];
  let after = 'cellType';
  for (const { name, steps, icon, label } of sides) {
    const beside = course.beside(lesson, steps);
    if (beside) {
      const button = new ui.ToolbarButton({ icon, tooltip: label(beside), onClick: () => void lessons.open(beside) });
      if (!notebook.toolbar.insertAfter(after, name, button)) {
        notebook.toolbar.addItem(name, button);
      }
      after = name;
    }
  }
}

function addStyle(): void {
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.href = new URL('../style.css', import.meta.url).href;
  document.head.append(link);
}
