local S = require('support')

local QUICK = { restart = { delay_ms = 20 } }

describe('when the server dies', function()
  it('in the middle of a turn, the session is resumed and the turn was interrupted', function()
    local world = S.world({ S.text('beginning ', S.hold()), S.text('back') }, { setup = QUICK })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'agent_message_delta')
    S.signal('sigkill')
    T.has('signal 9', S.wait_event(events, 'disconnected').message)
    T.eq('disconnected', session.status)
    S.wait_event(events, 'reconnected')
    T.eq('idle', session.status)
    T.eq(true, session.info.resumed)
    -- Its own input had arrived: it is not sent again.
    session:send(S.says('go on'))
    T.eq('back', S.wait_event(events, 'task_complete').last_agent_message)
    T.eq(2, #world.model:requests())
    T.eq({ 'hi', 'go on' }, S.told(world.model:requests()[2]))
  end)

  it('while a question waits, the question is gone and can be asked again', function()
    S.world({ S.shell({ 'touch', 'x' }), S.shell({ 'touch', 'y' }), S.text('done') }, {
      setup = QUICK,
      config = { approval_policy = 'untrusted' },
    })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'exec_approval_request')
    S.signal('sigkill')
    S.wait_event(events, 'reconnected')
    T.eq({}, session.waiting)
    session:send(S.says('again'))
    S.wait_event(events, 'exec_approval_request', 2)
    session:answer(session.waiting[1].call_id, 'approved')
    S.wait_event(events, 'task_complete')
  end)

  it('every open session is resumed', function()
    S.world({}, { setup = QUICK })
    local one, two = S.session(), S.session()
    local first, second = S.events(one), S.events(two)
    S.signal('sigkill')
    S.wait_event(first, 'reconnected')
    S.wait_event(second, 'reconnected')
    T.eq({ 'idle', 'idle' }, { one.status, two.status })
  end)

  it('an input that had not arrived is sent again', function()
    local world = S.world({ S.text('hello') }, { setup = QUICK })
    local session = S.session()
    local events = S.events(session)
    S.signal('sigstop')
    session:send(S.says('hi'))
    S.signal('sigkill')
    S.wait_event(events, 'task_complete')
    T.eq(2, #vim.tbl_filter(function(type)
      return type == 'input_sent'
    end, S.types(events)))
    T.eq({ 'hi' }, S.told(world.model:requests()[1]))
    T.eq(1, #world.model:requests())
  end)

  it('an input that was recorded but not announced is told, and not sent again', function()
    local world = S.world({ S.text(S.hold()), S.text('back') }, { setup = QUICK })
    local session = S.session()
    local events = S.events(session)
    -- What the server says of it does not get through any more.
    session.server:route(session.id, function() end)
    session:send(S.says('hi'))
    T.wait(function()
      return #world.model:requests() == 1
    end, 'the request')
    S.signal('sigkill')
    S.wait_event(events, 'reconnected')
    T.eq(S.says('hi'), S.wait_event(events, 'user_message').items)
    T.eq({}, session.inputs.list)
    T.eq(1, #world.model:requests())
  end)

  it('an input that it has died of twice is given back', function()
    local world = S.world({}, { setup = QUICK })
    local session = S.session()
    local events = S.events(session)
    local deaths = 0
    session:subscribe(function(msg)
      if msg.type == 'reconnected' and deaths == 1 then
        S.signal('sigstop')
      elseif msg.type == 'input_sent' then
        deaths = deaths + 1
        vim.schedule(function()
          S.signal('sigkill')
        end)
      end
    end)
    S.signal('sigstop')
    session:send(S.says('hi'))
    T.eq(S.says('hi'), S.wait_event(events, 'input_returned').items)
    T.eq(2, deaths)
    T.eq('idle', session.status)
    T.eq({}, session.inputs.list)
    T.eq({}, world.model:requests())
  end)

  it('what is said meanwhile is sent when it is back', function()
    S.world({ S.text('hello') }, { setup = { restart = { delay_ms = 100 } } })
    local session = S.session()
    local events = S.events(session)
    S.signal('sigkill')
    S.wait_event(events, 'disconnected')
    session:send(S.says('hi'))
    T.eq('hello', S.wait_event(events, 'task_complete').last_agent_message)
  end)

  it('an interrupt or an answer meanwhile is refused with a reason', function()
    S.world({}, { setup = { restart = { delay_ms = 100 } } })
    local session = S.session()
    local events = S.events(session)
    S.signal('sigkill')
    S.wait_event(events, 'disconnected')
    local err
    session:submit({ type = 'interrupt' }, function(problem)
      err = problem
    end)
    T.wait(function()
      return err
    end)
    T.has('started again', err.message)
  end)

  it('the policy and the model that were chosen hold for the resumed session', function()
    local world = S.world({}, {
      setup = QUICK,
      config = { approval_policy = 'untrusted', sandbox_mode = 'read-only' },
    })
    local session = S.session({ approvalPolicy = 'on-request' })
    local events = S.events(session)
    local done
    session:submit({
      type = 'override_turn_context',
      model = 'other-model',
      sandbox_policy = { mode = 'workspace-write' },
    }, function(err)
      done = { err }
    end)
    T.wait(function()
      return done
    end)
    T.eq({}, done)
    S.signal('sigkill')
    T.eq({}, S.wait_event(events, 'reconnected').warnings)
    T.eq('on-request', session.info.approvalPolicy)
    T.eq('workspace-write', session.info.sandboxPolicy.mode)
    T.eq('other-model', session.info.model)
    T.eq(world.folder, session.info.cwd)
  end)

  it('a session whose file is gone is closed, and what was said to it is given back', function()
    local notices = S.notices()
    S.world({ S.text('hello') }, { setup = QUICK })
    local session = S.session()
    local events = S.events(session)
    S.signal('sigstop')
    session:send(S.says('hi'))
    vim.fn.delete(session.info.rolloutPath)
    S.signal('sigkill')
    S.wait_event(events, 'closed')
    T.eq(S.says('hi'), S.wait_event(events, 'input_returned').items)
    S.wait_notice(notices, 'could not be resumed')
  end)

  it('and is given up, what was said is given back, and the next word starts it again', function()
    S.world({ S.text('hello') }, { setup = { restart = { delay_ms = 10, max_delay_ms = 10 } } })
    local session = S.session()
    local events = S.events(session)
    local config = require('codex.config').get()
    local cmd = config.cmd
    config.cmd = { 'sh', '-c', 'exit 3' }
    S.signal('sigkill')
    S.wait_event(events, 'disconnected')
    session:send(S.says('hi'))
    T.has('5 times', S.wait_event(events, 'input_returned').message)
    T.eq('disconnected', session.status)
    config.cmd = cmd
    session:send(S.says('hi'))
    T.eq('hello', S.wait_event(events, 'task_complete').last_agent_message)
  end)
end)
