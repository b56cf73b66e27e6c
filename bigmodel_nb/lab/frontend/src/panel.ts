// The course panel in the left side bar.
import type { Widget } from '@lumino/widgets';

import { found } from './course.js';
import type { Course, IExercise, ILesson } from './course.js';
import { bytes, button, element } from './lab.js';
import type { ILab } from './lab.js';
import { numbered } from './lessons.js';
import type { Lessons } from './lessons.js';

const MARKS = { new: '○', begun: '◐', passed: '◐', done: '●' };

export function createPanel(lab: ILab, course: Course, lessons: Lessons, goTo: (lesson: ILesson, id: string) => unknown): Widget {
  const { trans } = lab;
  const bar = element('progress', { class: 'bn-progress', 'aria-label': trans.__('Exercises passed') });
  const passed = element('span');
  const next = button('', () => lessons.continue());
  const search = element('input', {
    type: 'search',
    class: 'bn-search',
    placeholder: trans.__('Search the course'),
    'aria-label': trans.__('Search lessons, terms, exercises')
  });
  const said = element('p', { class: 'bn-said', role: 'status' });
  const list = element('div', { class: 'bn-lessons' });
  const head = element('header', {}, element('h2', {}, trans.__('Course')), bar, passed, next, search, said);
  const node = element('div', { class: 'bn-course', role: 'region', 'aria-label': trans.__('Course') }, head, list);

  const draw = () => {
    const { overview } = course;
    bar.max = Math.max(1, overview.of);
    bar.value = overview.passed;
    passed.textContent = trans.__('%1 of %2 exercises passed', overview.passed, overview.of);
    const wanted = course.lesson(overview.next);
    next.hidden = !wanted;
    next.textContent = wanted ? trans.__('Continue: %1', numbered(wanted)) : '';
    const focused = list.contains(document.activeElement) ? document.activeElement?.getAttribute('data-key') : null;
    list.replaceChildren(...parts());
    if (focused) {
      list.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  };

  const parts = (): Node[] => {
    const shown = new Map<string, Node[]>();
    for (const lesson of course.overview.lessons) {
      const hits = found(lesson, search.value);
      if (hits) {
        shown.set(lesson.part, [...(shown.get(lesson.part) ?? []), row(lesson, hits)]);
      }
    }
    return [...shown].map(([part, rows]) =>
      element('section', {}, element('h3', {}, trans.__('Part %1', part)), element('ol', { role: 'list' }, ...rows))
    );
  };

  const row = (lesson: ILesson, hits: { exercises: IExercise[]; terms: string[] }): HTMLElement => {
    const state = stateText(lesson);
    const label = `${numbered(lesson)}, ${state}, ${trans.__('%1 minutes', lesson.minutes)}`;
    const open = element('button', {
      type: 'button',
      class: 'bn-open',
      'aria-label': label,
      'data-key': lesson.file
    });
    open.append(
      element('span', { class: 'bn-mark', 'aria-hidden': 'true' }, MARKS[lesson.state]),
      element('span', { class: 'bn-title' }, numbered(lesson)),
      element('span', { class: 'bn-state' }, state)
    );
    if (lessons.current() === lesson) {
      open.setAttribute('aria-current', 'true');
    }
    open.addEventListener('click', () => void lessons.open(lesson));
    const reset = button(trans.__('Reset'), async () => say(await lessons.reset(lesson)), {
      class: 'bn-button bn-reset',
      'aria-label': trans.__('Reset %1', numbered(lesson)),
      'data-key': `reset ${lesson.file}`
    });
    const isOpen = !!lab.tracker?.find(it => it.context.localPath === lesson.path); // with changes that aren't saved yet, perhaps
    const canReset = lesson.link || (lesson.there && (isOpen || lesson.state !== 'new'));
    const about = element('p', { class: 'bn-about' }, ...needs(lesson), ...(canReset ? [reset] : []));
    const item = element('li', { class: 'bn-lesson', 'data-state': lesson.state }, open, about);
    if (lesson.newer) {
      const text = trans.__('There is a newer original: see what is new');
      item.append(button(text, async () => say(await lessons.update(lesson)), { class: 'bn-button bn-newer' }));
    }
    if (lesson.link) {
      item.append(element('p', { class: 'bn-warning' }, trans.__('Its file is a link, which the course does not follow.')));
    }
    if (hits.terms.length) {
      item.append(element('p', { class: 'bn-about' }, hits.terms.join(' · ')));
    }
    for (const exercise of hits.exercises) {
      item.append(button(exerciseText(exercise), () => goTo(lesson, exercise.id), { class: 'bn-button bn-hit' }));
    }
    return item;
  };

  const stateText = (lesson: ILesson): string => {
    const words = { new: trans.__('new'), begun: trans.__('begun'), done: trans.__('done') };
    return lesson.state === 'passed' ? trans.__('%1 of %2 passed', lesson.passed, lesson.exercises.length) : words[lesson.state];
  };

  const exerciseText = (exercise: IExercise): string => {
    const words = { open: trans.__('open'), begun: trans.__('begun'), passed: trans.__('passed') };
    return `${exercise.id}: ${words[exercise.state]}`;
  };

  const needs = (lesson: ILesson): Node[] => {
    const before = lesson.needs.map(number => String(number).padStart(2, '0')).join(', ');
    const text = [
      trans.__('%1 min', lesson.minutes),
      ...(before ? [trans.__('needs %1', before)] : []),
      ...(lesson.seconds ? [trans.__('runs in %1 s', lesson.seconds)] : []),
      ...(lesson.mb ? [bytes(lesson.mb * 1e6)] : [])
    ].join(' · ');
    const warning = trans.__('Only %1 of memory is free.', bytes(course.overview.free));
    return [document.createTextNode(text), ...(lesson.enough ? [] : [element('span', { class: 'bn-warning' }, ` ${warning}`)])];
  };

  const say = (text: string | undefined) => {
    said.textContent = text ?? '';
  };

  search.addEventListener('input', () => {
    draw();
    const count = list.querySelectorAll('.bn-lesson').length;
    say(search.value.trim() ? trans.__('Lessons found: %1', count) : '');
  });
  course.onChange(draw);
  lab.tracker?.currentChanged.connect(draw);
  draw();

  const panel = new lab.widgets.Widget({ node });
  panel.id = 'bigmodel-nb-course';
  panel.title.caption = trans.__('Course');
  return panel;
}
