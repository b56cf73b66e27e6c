// The lessons and the learner's progress, as the server tells them.
import type { ILab } from './lab.js';

export interface IExercise {
  id: string;
  state: 'open' | 'begun' | 'passed';
}

export interface ILesson {
  number: number;
  name: string;
  file: string;
  title: string;
  part: string;
  minutes: number;
  needs: number[];
  seconds: number;
  mb: number;
  enough: boolean;
  path: string;
  there: boolean;
  state: 'new' | 'begun' | 'passed' | 'done';
  passed: number;
  exercises: IExercise[];
  right: number;
  answered: number;
  newer: boolean;
  link: boolean;
  terms: string[];
}

export interface IOverview {
  workspace: string | null;
  lessons: ILesson[];
  passed: number;
  of: number;
  next: string | null;
  free: number;
}

export interface IChange {
  id: string;
  kind: 'added' | 'removed' | 'changed';
  type: string;
  mine: boolean;
  lines: string[];
}

export interface IDifference {
  against: 'original' | 'mine';
  cells: IChange[];
}

export interface IMachine {
  device: string | null;
  dtype: string | null;
  reason: string | null;
  kernels: number;
  limit: number;
  free: number;
  low: boolean;
  gpus: { name: string; used: number; total: number }[];
}

export class Course {
  overview: IOverview = { workspace: null, lessons: [], passed: 0, of: 0, next: null, free: 0 };
  private listeners = new Set<() => void>();
  private asked: Promise<void> | null = null;
  private again = false;

  constructor(private lab: ILab) {}

  /** Call `listener` whenever the overview has been read again. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Read the overview again; calls that come while it is being read share one more reading. */
  refresh(): Promise<void> {
    if (this.asked) {
      this.again = true;
      return this.asked;
    }
    this.asked = this.read().finally(() => {
      this.asked = null;
    });
    return this.asked;
  }

  private async read(): Promise<void> {
    do {
      this.again = false;
      this.overview = await this.ask<IOverview>('overview');
    } while (this.again);
    this.listeners.forEach(listener => listener());
  }

  lesson(file: string | null): ILesson | undefined {
    return this.overview.lessons.find(it => it.file === file);
  }

  /** The lesson whose copy is at this path of the server. */
  at(path: string | undefined): ILesson | undefined {
    return this.overview.lessons.find(it => it.path === path);
  }

  /** The lesson so many places after another, or before it. */
  beside(lesson: ILesson, steps: number): ILesson | undefined {
    const here = this.overview.lessons.findIndex(it => it.file === lesson.file);
    return this.overview.lessons[here + steps];
  }

  exercise(id: string): IExercise | undefined {
    return this.overview.lessons.flatMap(it => it.exercises).find(it => it.id === id);
  }

  /** Make the learner's copy of a lesson where there is none -> its path. */
  async copy(lesson: ILesson): Promise<string> {
    return (await this.ask<{ path: string }>('open', { file: lesson.file })).path;
  }

  reset(lesson: ILesson): Promise<{ path: string; kept: string | null }> {
    return this.ask('reset', { file: lesson.file });
  }

  difference(lesson: ILesson): Promise<IDifference> {
    return this.ask('difference', undefined, { file: lesson.file });
  }

  machine(kernel: string | undefined): Promise<IMachine> {
    return this.ask('machine', undefined, kernel ? { kernel } : {});
  }

  private async ask<T>(route: string, body?: unknown, query: Record<string, string> = {}): Promise<T> {
    const { ServerConnection } = this.lab.services;
    const settings = ServerConnection.makeSettings();
    const { URLExt } = this.lab.coreutils;
    const url = URLExt.join(settings.baseUrl, 'bigmodel-nb', route) + URLExt.objectToQueryString(query);
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await ServerConnection.makeRequest(url, init, settings);
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      throw new Error(answer.message ?? `${response.status} ${response.statusText}`);
    }
    return answer as T;
  }
}

/** What a search finds in a lesson: null where nothing, else the exercises and terms that hold all its words.
 *
 * A lesson whose title holds all words is found by that alone. */
export function found(lesson: ILesson, query: string): { exercises: IExercise[]; terms: string[] } | null {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const holds = (text: string) => words.every(word => text.toLocaleLowerCase().includes(word));
  if (!words.length) {
    return { exercises: [], terms: [] };
  }
  const exercises = lesson.exercises.filter(it => holds(it.id.replace(/_/g, ' ')) || holds(it.id));
  const terms = lesson.terms.filter(holds);
  const title = holds(`${String(lesson.number).padStart(2, '0')} ${lesson.title} ${lesson.name}`);
  return title || exercises.length || terms.length ? { exercises, terms: terms.slice(0, 4) } : null;
}
