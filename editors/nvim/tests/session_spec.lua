local S = require('support')

--- The types of events without what repeats.
local function course(events)
  local types = {}
  for _, type in ipairs(S.types(events)) do
    if type ~= types[#types] and type ~= 'token_count' then
      table.insert(types, type)
    end
  end
  return types
end

describe('a session', function()
  it('answers, and is idle again', function()
    local world = S.world({ S.text('Hel', 'lo.') })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    T.eq('Hello.', S.wait_event(events, 'task_complete').last_agent_message)
    T.eq('idle', session.status)
    T.eq({}, session.inputs.list)
    T.eq(1050, session.tokens.total_tokens)
    T.eq({ 'hi' }, S.told(world.model:requests()[1]))
  end)

  it('goes through a whole conversation with an approved command and an approved patch', function()
    local world = S.world({
      S.plan({ { step = 'look', status = 'in_progress' }, { step = 'mend', status = 'pending' } }),
      S.shell({ 'sh', '-c', 'echo made > made.txt; echo out' }),
      S.patch('*** Update File: notes.txt', '@@', '-two', '+TWO'),
      S.text('All ', 'is done.'),
    }, {
      files = { ['notes.txt'] = 'one\ntwo\n' },
      config = { approval_policy = 'untrusted' },
    })
    vim.cmd.edit('notes.txt')
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('mend it'))

    local request = S.wait_event(events, 'exec_approval_request')
    T.eq('running', session.status)
    T.eq({ 'look', 'mend' }, { session.plan.plan[1].step, session.plan.plan[2].step })
    T.eq({ 'exec' }, { session.waiting[1].kind })
    T.eq(request, session.waiting[1].msg)
    session:answer(request.call_id, 'approved')
    T.eq({}, session.waiting)

    request = S.wait_event(events, 'apply_patch_approval_request')
    T.eq('made\n', S.read(world.folder .. '/made.txt'))
    T.eq('out\n', S.wait_event(events, 'exec_command_end').stdout)
    T.eq('patch', session.waiting[1].kind)
    local file = request.files[world.folder .. '/notes.txt']
    T.eq({ 'one\ntwo\n', 'one\nTWO\n' }, { file.old_text, file.new_text })
    session:answer(request.call_id, 'approved')

    S.wait_event(events, 'task_complete')
    T.eq({ 'one', 'TWO' }, vim.api.nvim_buf_get_lines(0, 0, -1, true))
    T.has('+TWO', session.turn_diff)
    T.eq({}, session.waiting)
    T.eq('idle', session.status)
    T.eq({
      'input_sent',
      'user_message',
      'status',
      'task_started',
      'plan_update',
      'exec_approval_request',
      'approval_answered',
      'exec_command_begin',
      'exec_command_output_delta',
      'exec_command_end',
      'apply_patch_approval_request',
      'approval_answered',
      'patch_apply_begin',
      'patch_apply_end',
      'turn_diff',
      'agent_message_delta',
      'agent_message',
    }, vim.list_slice(course(events), 1, 17))
  end)

  it('writes what a person made of a patch, and only the hunks that are wanted', function()
    local world = S.world({
      S.patch(
        '*** Update File: notes.txt',
        '@@',
        '-one',
        '+ONE',
        ' two',
        ' three',
        ' four',
        ' five',
        ' six',
        ' seven',
        ' eight',
        ' nine',
        '-ten',
        '+TEN'
      ),
      S.text('done'),
    }, {
      files = {
        ['notes.txt'] = 'one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n',
      },
      config = { approval_policy = 'untrusted' },
    })
    local path = world.folder .. '/notes.txt'
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('mend it'))
    local request = S.wait_event(events, 'apply_patch_approval_request')
    session:answer(request.call_id, 'approved', { hunks = { [path] = { 1 } } })
    S.wait_event(events, 'task_complete')
    T.match('^one\n.*\nTEN\n$', S.read(path))
  end)

  it('has a question again if its answer is refused', function()
    local notices = S.notices()
    S.world({
      S.patch('*** Add File: new.txt', '+new'),
      S.text('done'),
    }, { config = { approval_policy = 'untrusted' } })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('mend it'))
    local call = S.wait_event(events, 'apply_patch_approval_request').call_id
    session:answer(call, 'perhaps')
    S.wait_event(events, 'approval_refused')
    S.wait_notice(notices, 'The answer does not count')
    T.eq(call, session.waiting[1].call_id)
    session:answer(call, 'denied')
    S.wait_event(events, 'task_complete')
    T.eq({}, session.waiting)
  end)

  it('is interrupted, and goes on with the next input', function()
    S.world({ S.text('beginning ', S.hold()), S.text('again') })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'agent_message_delta')
    session:interrupt()
    T.eq('interrupted', S.wait_event(events, 'turn_aborted').reason)
    T.eq('idle', session.status)
    session:send(S.says('on'))
    T.eq('again', S.wait_event(events, 'task_complete').last_agent_message)
  end)

  it('forgets its questions when the turn is interrupted', function()
    S.world({ S.shell({ 'touch', 'x' }) }, { config = { approval_policy = 'untrusted' } })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'exec_approval_request')
    session:interrupt()
    S.wait_event(events, 'turn_aborted')
    T.eq({}, session.waiting)
  end)

  it('gives an input back that the server refuses', function()
    S.world({})
    local session = S.session()
    local events = S.events(session)
    local err
    session:send({}, function(problem)
      err = problem
    end)
    T.eq({}, S.wait_event(events, 'input_returned').items)
    T.eq(-32602, err.code)
    T.eq({}, session.inputs.list)
  end)

  it('is closed, and says so to whoever says something to it', function()
    S.world({})
    local session = S.session()
    local events = S.events(session)
    local closed
    session:close(function(err)
      closed = { err }
    end)
    T.wait(function()
      return closed
    end)
    T.eq({}, closed)
    T.eq('closed', session.status)
    T.eq(nil, require('codex.sessions_open').by_id(session.id))
    session:send(S.says('hi'))
    T.has(':CodexResume', S.wait_event(events, 'input_returned').message)
  end)

  it('is resumed by its id, by the last one, and is the same one while it is open', function()
    S.world({ S.text('one'), S.text('two') })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'task_complete')
    local resume = require('codex.session').resume
    local again
    local function resumed(params)
      again = nil
      resume(session.server, params, function(err, opened)
        again = { err, opened }
      end)
      T.wait(function()
        return again
      end)
      assert(again[2], vim.inspect(again[1]))
      return again[2]
    end
    T.eq(true, session == resumed({ sessionId = session.id }))
    session:close()
    T.wait(function()
      return session.status == 'closed'
    end)
    local by_id = resumed({ sessionId = session.id })
    T.eq(session.id, by_id.id)
    T.eq(false, by_id == session)
    T.eq(true, by_id.info.resumed)
    by_id:close()
    T.wait(function()
      return by_id.status == 'closed'
    end)
    T.eq(session.id, resumed({ last = true }).id)
  end)

  it('tells everyone in order, whatever one of them does', function()
    S.world({ S.text('hello') })
    local notices = S.notices()
    local session = S.session()
    local told = {}
    session:subscribe(function(msg)
      if msg.type == 'user_message' then
        error('a listener has failed')
      end
    end)
    local off = session:subscribe(function()
      table.insert(told, 'off')
    end)
    off()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'user_message')
    S.wait_event(events, 'task_complete')
    T.eq({}, told)
    S.wait_notice(notices, 'a listener has failed')
  end)

  it('does not mind an event that it has never heard of', function()
    S.world({})
    local session = S.session()
    local events = S.events(session)
    session:on_event({ sessionId = session.id, seq = 99, id = 'x', msg = { type = 'sunrise' } })
    T.eq({ 'sunrise' }, S.types(events))
    T.eq('idle', session.status)
  end)

  it('keeps the main loop free under 20,000 deltas of a model', function()
    S.world({ deltas = 20000, per_write = 1 })
    local session = S.session()
    local events = S.events(session)
    local gap = S.longest_gap()
    session:send(S.says('hi'))
    local message = S.wait_event(events, 'agent_message').message
    local longest_ms = gap()
    io.stdout:write(('     %d events, longest gap %.1f ms\n'):format(#events, longest_ms))
    T.eq(true, longest_ms < 50)
    T.eq(message, S.joined(events))
  end)

  it('keeps the main loop free under 20,000 deltas that nobody has merged', function()
    S.world({}, { setup = S.flood(20000) })
    local session = S.session()
    local events = S.events(session)
    local gap = S.longest_gap()
    session:send(S.says('hi'))
    T.wait(function()
      return #events > 20000 and session.status == 'idle'
    end, 'the end of the turn')
    local longest_ms = gap()
    local message = S.wait_event(events, 'agent_message').message
    io.stdout:write(('     %d events, longest gap %.1f ms\n'):format(#events, longest_ms))
    T.eq(true, longest_ms < 50)
    T.eq(true, #events > 20000)
    T.eq(message, S.joined(events))
  end)
end)
